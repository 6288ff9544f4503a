"""Networks, one file each: `mlp` for points, `unet` for images, `convnet` for classifiers."""
