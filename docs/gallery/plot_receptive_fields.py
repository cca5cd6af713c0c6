"""
Receptive fields of photographs
===============================

Dictionaries for sparse codes of photographs look like the receptive fields of simple cells in the primary visual
cortex: localised, oriented, band-pass. Rentzeperis, Calatroni, Perrinet and Prandi (2023) asked what changes if the l1
penalty of Olshausen and Field gives way to penalties nearer to l0. Here are their main questions on a small scale: are
codes sparser at the same error, and what do the atoms look like?
"""

# %%
# Patches of photographs that scikit-learn and scikit-image ship, whitened as in the study, and a dictionary twice as
# large as the patches for each penalty. Three strengths each show how error and activity trade off.

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.datasets import load_sample_images

from estimand import LqDictionaryLearning
from estimand.datasets import extract_whitened_patches
from estimand.displays import DictionaryDisplay, GaborDisplay, SparsityErrorDisplay
from estimand.metrics import circular_variance, fit_gabor

SIZE, ATOMS = 10, 200
photographs = [*load_sample_images().images, data.camera(), data.chelsea(), data.coffee(), data.grass(), data.rocket()]
patches = extract_whitened_patches(photographs, 7000, size=SIZE, random_state=0)
train, held = patches[:6000], patches[6000:]
strengths = {"l1": (0.15, 0.3, 0.6), "lq": (0.08, 0.16, 0.32), "l0": (0.03, 0.07, 0.15)}
models = {
    penalty: [
        LqDictionaryLearning(
            ATOMS, penalty=penalty, alpha=alpha, solver="working_set_cd", max_iter=2, tol=0, random_state=0
        ).fit(train)
        for alpha in alphas
    ]
    for penalty, alphas in strengths.items()
}

# %%
# Held-out patches: at the same error l0 and l1/2 take about half as many atoms as l1. Many of the l1 atoms are edges
# and gratings; with the harder penalties, after so few passes over seven photographs, more of them still look like
# noise. A circular variance of 0 is sharp tuning to one orientation, of 1 none.

figure, axes = plt.subplots(2, 2, figsize=(9.5, 8.5), layout="constrained")
DictionaryDisplay.from_estimator(models["l1"][1], held, max_atoms=100, ax=axes[0, 0])
axes[0, 0].set_title("l1: the 100 atoms used most")
DictionaryDisplay.from_estimator(models["l0"][1], held, max_atoms=100, ax=axes[0, 1])
axes[0, 1].set_title("l0")
SparsityErrorDisplay.from_estimators(models, held, ax=axes[1, 0])
for penalty in ("l0", "l1"):
    components = models[penalty][1].components_
    variance = np.nanmedian(circular_variance(components, (SIZE, SIZE)))
    gabors = fit_gabor(components, (SIZE, SIZE))
    share = np.mean(gabors.r_squared >= 0.7)
    print(f"{penalty}: median circular variance {variance:.2f}, {share:.0%} are Gabor functions")
GaborDisplay(gabors).plot(axes[1, 1])
axes[1, 1].set_xlabel(axes[1, 1].get_xlabel() + ", l1")
plt.show()
