"""CLIP's vision tower (Radford et al. 2021): what LangBridge's adapter sees with."""
