"""The words of the shapes world and what they look like: colors, sizes, places.

RGB values are 8-bit sRGB. Any two named colors, objects and backgrounds alike, are at
least 80 apart (Euclidean), so that nearest-color reading survives soft, noisy images.
"""

IMAGE_SIZE = 64
MAX_OBJECTS = 4

SHAPES = ("circle", "square", "triangle", "cross", "star", "ring")

COLORS = {
    "red": (225, 45, 45),
    "green": (45, 170, 70),
    "blue": (50, 90, 235),
    "yellow": (245, 220, 50),
    "purple": (150, 55, 190),
    "orange": (250, 140, 30),
    "cyan": (70, 215, 230),
    "white": (250, 250, 250),
}

BACKGROUNDS = {
    "black": (15, 15, 15),
    "gray": (128, 128, 128),
    "brown": (90, 50, 30),
    "navy": (15, 25, 100),
    "olive": (120, 130, 40),
}

# Radius in pixels: every shape fits the box of twice its radius around its centre.
SIZES = {"small": 6.0, "large": 8.5}

# Centre (x, y) in pixels, in reading order; x grows rightwards, y downwards.
PLACES = {
    "top left": (11, 11),
    "top": (32, 11),
    "top right": (53, 11),
    "left": (11, 32),
    "center": (32, 32),
    "right": (53, 32),
    "bottom left": (11, 53),
    "bottom": (32, 53),
    "bottom right": (53, 53),
}
# Column and row (0, 1, 2) of each place.
CELLS = {place: (i % 3, i // 3) for i, place in enumerate(PLACES)}

JITTER = 2.0  # objects stray this far from their place's centre, along each axis
SUBPIXEL = 8  # centres lie on a grid of 1/8 pixel, so that drawn masks can be cached
MARGIN = 1.5  # the boxes of two objects are at least this many pixels apart

# (color, shape) pairs that no training or test item shows or names: each shape once,
# six colors once; cyan and white are seen with every shape.
HELDOUT_PAIRS = (
    ("orange", "circle"),
    ("purple", "square"),
    ("red", "triangle"),
    ("yellow", "cross"),
    ("green", "star"),
    ("blue", "ring"),
)

ALL_PAIRS = tuple((color, shape) for color in COLORS for shape in SHAPES)
SEEN_PAIRS = tuple(pair for pair in ALL_PAIRS if pair not in HELDOUT_PAIRS)
