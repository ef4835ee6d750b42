"""OpenAI CLIP's channel statistics, which Qwen2-VL's preprocessor_config.json uses."""

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
