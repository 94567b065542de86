"""Tiny CLAP and CLIP models with random weights, as transformers saves them."""

import json

from fakes.models import shake

CLAP_AUDIO = {
    "spec_size": 256,
    "patch_size": 8,
    "patch_stride": [8, 8],
    "patch_embeds_hidden_size": 16,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "hidden_size": 32,
    "window_size": 4,
    "num_hidden_layers": 2,
}
# The published front end, but for a window of one second.
PROCESSOR = {
    "feature_extractor_type": "ClapFeatureExtractor",
    "feature_size": 64,
    "sampling_rate": 48_000,
    "hop_length": 480,
    "fft_window_size": 1024,
    "max_length_s": 1,
    "frequency_min": 50,
    "frequency_max": 14_000,
    "padding": "repeatpad",
    "truncation": "fusion",
    "top_db": None,
}
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 8,
}
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}


def write_clap(folder, *, fused=True, whole=False, processor=True, **saving):
    """A folder as that of MVRL/ecosound, or of laion/clap-htsat-fused; gives the library's own."""
    import transformers as hf

    audio = {**CLAP_AUDIO, "enable_fusion": fused}
    if whole:
        config = hf.ClapConfig(audio_config=audio, text_config=_TEXT, projection_dim=24)
        model = shake(hf.ClapModel(config))
    else:
        config = hf.ClapAudioConfig(**audio, projection_dim=24)
        model = shake(hf.ClapAudioModelWithProjection(config))
    model.save_pretrained(folder, **saving)
    if processor:
        content = {**PROCESSOR, "truncation": "fusion" if fused else "rand_trunc"}
        (folder / "preprocessor_config.json").write_text(json.dumps(content))
    return model


def write_clip_vision(folder, *, whole=False, **saving):
    """A folder as that of MVRL/ecosat, or of openai/clip-vit-base-patch16; the library's own."""
    import transformers as hf

    if whole:
        text = {**_TEXT, "bos_token_id": 0, "eos_token_id": 1}
        config = hf.CLIPConfig(vision_config=_VISION, text_config=text, projection_dim=24)
        model = shake(hf.CLIPModel(config))
    else:
        config = hf.CLIPVisionConfig(**_VISION, projection_dim=24)
        model = shake(hf.CLIPVisionModelWithProjection(config))
    model.save_pretrained(folder, **saving)
    return model
