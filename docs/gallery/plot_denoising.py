"""
Denoising a photograph with few atoms
=====================================

A patch of a photograph is a sum of few atoms of a dictionary learned from the noisy photograph itself; noise is not.
Coding every patch and averaging the overlaps removes most of it. How much depends on the penalty of the codes: l1
shrinks the atoms that it keeps, penalties nearer to l0 do not.
"""

# %%
# The photograph is a part of one that scikit-learn ships, with Gaussian noise.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from estimand import LqDictionaryLearning, PenalizedSparseCoder

SIZE, ATOMS, SIGMA = 8, 128, 0.08
clean = load_sample_image("china.jpg")[60:188, 200:360] @ [0.299, 0.587, 0.114] / 255
noisy = clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape)
patches = extract_patches_2d(noisy, (SIZE, SIZE)).reshape(-1, SIZE**2)
means = patches.mean(axis=1, keepdims=True)
X = patches - means


def psnr(image):
    """Return the peak signal-to-noise ratio in decibel."""
    return -10 * np.log10(np.mean((np.clip(image, 0, 1) - clean) ** 2))


def image_of(codes, atoms):
    """Average the patches that codes stand for."""
    return reconstruct_from_patches_2d((codes @ atoms + means).reshape(-1, SIZE, SIZE), clean.shape)


# %%
# One dictionary a penalty, learned from 8000 of the noisy patches. The strengths are the best of three tried for each,
# in thresholds of so many standard deviations of the noise.

penalties = {
    "l1": {"penalty": "l1", "alpha": 1.3 * SIGMA},
    "l1, refitted": {"penalty": "l1", "alpha": 2.8 * SIGMA, "debias": True},
    "l1/2": {"penalty": "lq", "alpha": (2.6 * SIGMA / 1.5) ** 1.5},
    "l0": {"penalty": "l0", "alpha": (3 * SIGMA) ** 2 / 2},
}
some = np.random.default_rng(1).choice(len(X), 8000, replace=False)
images, active = {}, {}
for name, settings in penalties.items():
    learning = {key: value for key, value in settings.items() if key != "debias"}
    model = LqDictionaryLearning(ATOMS, **learning, max_iter=2, tol=0, random_state=0).fit(X[some])
    codes = PenalizedSparseCoder(model.components_, **settings).transform(X)
    images[name] = image_of(codes, model.components_)
    active[name] = np.count_nonzero(codes) / len(codes)
    print(f"{name:13}{psnr(images[name]):6.2f} dB with {active[name]:.1f} atoms a patch")
print(f"{'noisy':13}{psnr(noisy):6.2f} dB")

# %%
# The picture.

figure, axes = plt.subplots(2, 3, figsize=(10, 5.4), layout="constrained")
shown = {"photograph": clean, f"noisy, {psnr(noisy):.1f} dB": noisy}
shown |= {f"{name}, {psnr(image):.1f} dB, {active[name]:.1f} atoms": image for name, image in images.items()}
for ax, (title, image) in zip(axes.flat, shown.items(), strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=10)
    ax.axis("off")
plt.show()
