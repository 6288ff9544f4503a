"""Denoising: diffusion models you can run, measure and break. The library under the notebooks."""

__version__ = "0.1.0"
