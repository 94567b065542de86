"""Small models with random weights, written in the exact formats of the libraries and hubs."""

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

# Smallest that keep every kind of layer. The preprocessing is unlike every default on purpose.
OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 64,
            "heads": 1,
            "layers": 1,
        },
    },
    "preprocess_cfg": {
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.25, 0.3],
        "interpolation": "bilinear",
        "resize_mode": "squash",
    },
}
_VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
FAMILIES = (
    "clip",
    "clip_vision_model",
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "mlcd_vision_model",
    "siglip",
    "siglip_vision_model",
)


def shake(module, seed=0):
    """Draw all parameters anew, so that none keeps a telling 0 or 1; running means as well."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=source)
                if name.endswith("running_var"):
                    tensor.copy_(1 + noise.abs())
                else:
                    tensor.copy_(noise * 0.2 + (tensor.ndim == 1))
    return module.eval()


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_open_clip(folder: Path, seed=0, config=OPEN_CLIP, pickled=False):
    """A folder in open_clip's format; gives the library's own model."""
    import open_clip

    write_json(folder / "open_clip_config.json", config)
    model = shake(open_clip.model.CLIP(**config["model_cfg"]), seed)
    if pickled:
        torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    else:
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model


def write_timm(folder: Path, name="test_resnet", seed=0, size=32, **cfg):
    """A folder as timm's save_for_hf writes it; gives the library's own model."""
    import timm
    from timm.models import save_for_hf

    arguments = {"img_size": size} if "vit" in name else {}
    model = timm.create_model(name, num_classes=7, pretrained_cfg_overlay=cfg, **arguments)
    shake(model, seed)
    model.pretrained_cfg.update({"input_size": (3, size, size), "num_classes": 7, **cfg})
    save_for_hf(model, folder, model_args=arguments or None, safe_serialization=True)
    return model


def _transformers_pair(family):
    """A model class and a config for a family."""
    import transformers as hf

    text = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 64,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "max_position_embeddings": 8,
    }
    wide = {**_VISION, "intermediate_size": 64}
    return {
        "clip": lambda: (
            hf.CLIPModel,
            hf.CLIPConfig(vision_config=wide, text_config=text, projection_dim=24),
        ),
        "clip_vision_model": lambda: (hf.CLIPVisionModel, hf.CLIPVisionConfig(**wide)),
        "dinov2": lambda: (hf.Dinov2Model, hf.Dinov2Config(**_VISION)),
        "dinov2_with_registers": lambda: (
            hf.Dinov2WithRegistersModel,
            hf.Dinov2WithRegistersConfig(**_VISION, num_register_tokens=2),
        ),
        "dinov3_vit": lambda: (
            hf.DINOv3ViTModel,
            hf.DINOv3ViTConfig(**wide, num_register_tokens=2),
        ),
        "mlcd_vision_model": lambda: (hf.MLCDVisionModel, hf.MLCDVisionConfig(**wide)),
        "siglip": lambda: (
            hf.SiglipModel,
            hf.SiglipConfig(vision_config=wide, text_config={**text, "projection_size": 32}),
        ),
        "siglip_vision_model": lambda: (hf.SiglipVisionModel, hf.SiglipVisionConfig(**wide)),
    }[family]()


PROCESSORS = {
    "clip": {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 36},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    },
    "siglip": {
        "image_processor_type": "SiglipImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
}


def write_transformers(folder: Path, family="dinov2", seed=0):
    """A folder as save_pretrained writes it; gives the library's own model."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    kind, config = _transformers_pair(family)
    model = shake(kind(config), seed)
    model.save_pretrained(folder)
    processor = PROCESSORS["siglip" if "siglip" in family else "clip"]
    write_json(folder / "preprocessor_config.json", processor)
    return model


def write_unicom(path: Path, seed=0, size=64, patch=16, width=64, depth=2, dim=24):
    """A float16 state dict as UNICOM releases it; gives its tensors, float32."""
    source = torch.Generator().manual_seed(seed)
    n_patches = (size // patch) ** 2
    shapes = {
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "pos_embed": (1, n_patches, width),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "feature.0.weight": (width, n_patches * width),
        "feature.2.weight": (dim, width),
    }
    for block in range(depth):
        for part, shape in {
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
            "mlp.fc1.weight": (4 * width, width),
            "mlp.fc1.bias": (4 * width,),
            "mlp.fc2.weight": (width, 4 * width),
            "mlp.fc2.bias": (width,),
        }.items():
            shapes[f"blocks.{block}.{part}"] = shape
    for layer, length in ((1, width), (3, dim)):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"feature.{layer}.{part}"] = (length,)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=source) * 0.2
        if re.search(r"norm\d?\.weight|feature\.[13]\.weight|running_var", name):
            values = 1 + values.abs()
        state[name] = values.half()
    for layer in (1, 3):
        state[f"feature.{layer}.num_batches_tracked"] = torch.tensor(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return {name: tensor.float() for name, tensor in state.items()}


def edit_tensors(path: Path, change):
    """Rewrite a safetensors file after `change(state)`, which edits the dict in place."""
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def truncate(path: Path, share=0.5):
    """Cut a file as a broken download would."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
