"""The demonstration behind ``make demo``: real data, a pipeline, and one problem handed to every installed backend.

The diabetes study of Efron, Hastie, Johnstone and Tibshirani (2004) comes with scikit-learn: 442 patients, ten
measurements at the start, and the progression of the disease one year later. All monomials up to degree three make
285 features of it, more than the Lasso keeps.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_sample_images
from sklearn.linear_model import LassoCV, RidgeCV
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from statsmodels.datasets import fair

from estimand import (
    ConformalPoseEstimator,
    Lasso,
    LqDictionaryLearning,
    PenalizedLogisticRegression,
    PenalizedRegressor,
    PenalizedSparseCoder,
    PrestoClassifierCV,
    ProportionalOddsClassifier,
    SeparateLogitClassifier,
    list_solvers,
    rotation_angle,
)
from estimand.datasets import extract_whitened_patches, make_textured_plane_dataset
from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.metrics import mean_active, rare_log_loss, reconstruction_error
from estimand.penalties import MCP
from estimand.solvers import Solution, resolve_solver
from estimand.solvers.lasso import LassoProblem


class Run(NamedTuple):
    """A solution and the seconds that it took."""

    solution: Solution[Any]
    seconds: float


TOL = 1e-8
SECONDS_PER_BACKEND = 10.0
ALPHAS = np.geomspace(30.0, 0.3, 20)
GAP_NOTE = (
    "The gap is computed by the problem from the raw data, not by the backend: no point is better than "
    "objective - gap. Backends that compile do so in the first call."
)
console = Console()


def polynomial(model: Any) -> Pipeline:
    """Put `model` behind standardised monomials."""
    return make_pipeline(PolynomialFeatures(3, include_bias=False), StandardScaler(), model)


def fit(model: Any, X: Any, y: Any) -> tuple[float, int]:
    """Fit `model`; return the seconds, and the number of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        model.fit(X, y)
    return time.perf_counter() - start, len(caught)


def predict(data: tuple[Any, Any, Any, Any], advance: Callable[[], None]) -> tuple[GridSearchCV, Table]:
    """Choose alpha by cross-validation and compare the prediction of unseen patients with scikit-learn's."""
    X, X_test, y, y_test = data

    def score(model: Any, X_fold: Any, y_fold: Any) -> float:
        advance()
        return float(model.score(X_fold, y_fold))

    search = GridSearchCV(polynomial(Lasso()), {"lasso__alpha": ALPHAS}, scoring=score, cv=5)
    models = {
        "estimand Lasso, GridSearchCV": search,
        "sklearn LassoCV": polynomial(LassoCV(alphas=ALPHAS, cv=5)),
        "sklearn RidgeCV": polynomial(RidgeCV(np.geomspace(1e-1, 1e6, 50))),
    }
    table = Table(title=f"Predicting {y_test.size} unseen patients from {y.size}", title_justify="left", box=box.SIMPLE)
    for column in ("model", "alpha", "features", "R²", "warnings", "seconds"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for name, model in models.items():
        seconds, n_warnings = fit(model, X, y)
        last = (model.best_estimator_ if model is search else model)[-1]
        alpha = getattr(last, "alpha_", last.alpha if model is search else None)
        used = f"{np.count_nonzero(last.coef_)}/{last.coef_.size}"
        r2 = (model.best_estimator_ if model is search else model).score(X_test, y_test)
        table.add_row(name, f"{alpha:.3g}", used, f"{r2:.3f}", str(n_warnings), f"{seconds:.2f}")
        advance()
    return search, table


def other_estimators(advance: Callable[[], None]) -> Table:
    """Fit the classifier and the non-convex regressor to the breast-cancer data, and say what each certificate is."""
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    size, size_test = np.log(X[:, 3]), np.log(X_test[:, 3])  # the area of the cells, from the other measurements
    others = np.delete(np.arange(X.shape[1]), [0, 2, 3])
    table = Table(
        title="Breast cancer: 143 tumours held out", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0)
    )
    for column in ("model", "target", "features", "score", "proof", "value"):
        table.add_column(column, justify="left" if column in ("model", "target", "proof") else "right", no_wrap=True)
    fits = [
        ("PenalizedLogisticRegression", PenalizedLogisticRegression(alpha=0.01), X, y, X_test, y_test),
        ("Lasso", Lasso(alpha=0.02), X[:, others], size, X_test[:, others], size_test),
        (
            "PenalizedRegressor(MCP)",
            PenalizedRegressor(MCP(alpha=0.04, gamma=3.0)),
            X[:, others],
            size,
            X_test[:, others],
            size_test,
        ),
    ]
    for name, model, X_fit, y_fit, X_new, y_new in fits:
        fitted = make_pipeline(StandardScaler(), model).fit(X_fit, y_fit)
        coef, certificate = np.ravel(fitted[-1].coef_), fitted[-1].solution_.certificate
        used = f"{np.count_nonzero(coef)}/{coef.size}"
        score = f"{fitted.score(X_new, y_new):.3f}"
        target = "malignant" if is_classifier(model) else "log area"
        table.add_row(name, target, used, score, certificate.kind, f"{certificate.relative:.0e}")
        advance()
    table.caption = (
        "The score is accuracy or R². A gap proves how far the optimum can be; a fixed point is a local one."
    )
    table.caption_justify = "left"
    return table


def rare_events(advance: Callable[[], None]) -> Table:
    """Predict the rare end of an ordered scale: who calls a marriage very poor, among 6366 answers from 1 to 5."""
    survey = fair.load_pandas().data
    X, y = survey.drop(columns="rate_marriage"), 5 - survey["rate_marriage"].to_numpy(dtype=int)
    X["affairs"] = np.log1p(X["affairs"])
    X, X_test, y, y_test = train_test_split(X, y, train_size=1400, random_state=0, stratify=y)
    rare, rare_test = y == y.max(), y_test == y.max()
    table = Table(
        title=f"Marriages: {rare.sum()} of {y.size} answers rare, {rare_test.sum()} of {y_test.size} held out",
        title_justify="left",
        caption="The log-loss is that of the rare answer; a residual (kkt) of 0 is an optimum.",
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("model", "log-loss", "slopes", "proof", "value", "seconds"):
        table.add_column(column, justify="left" if column in ("model", "proof") else "right", no_wrap=True)
    constant = np.full(y_test.size, rare.mean())
    table.add_row("constant", f"{rare_log_loss(rare_test, constant, labels=[False, True]):.4f}", *4 * "-")
    for name, model in {
        "SeparateLogitClassifier": SeparateLogitClassifier(boundaries="rare"),
        "ProportionalOddsClassifier": ProportionalOddsClassifier(),
        "PrestoClassifierCV": PrestoClassifierCV(scoring="rare_log_loss", alpha_min_ratio=1e-3, random_state=0),
    }.items():
        seconds, _ = fit(model, X, y)
        loss = rare_log_loss(rare_test, model.predict_rare_proba(X_test), labels=[False, True])
        used = f"{np.unique(model.coef_[model.coef_ != 0]).size}/{model.coef_.size}"
        certificate = model.solution_.certificate
        table.add_row(name, f"{loss:.4f}", used, certificate.kind, f"{certificate.relative:.0e}", f"{seconds:.2f}")
        advance()
    return table


def sparse_codes(advance: Callable[[], None]) -> Table:
    """Learn dictionaries of photographs with three penalties, and code patches that they were not learned from."""
    X = extract_whitened_patches(load_sample_images().images, 6000, size=8, random_state=0)
    X, X_test = X[:5000], X[5000:]
    table = Table(
        title="Photographs: 1000 patches of 8 x 8 coded in dictionaries of 128 atoms, learned from 5000 others",
        title_justify="left",
        caption="The value is that of the worst patch. A fixed point is one that no single atom can improve.",
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("penalty", "atoms a patch", "relative error", "proof", "value", "seconds"):
        table.add_column(column, justify="left" if column in ("penalty", "proof") else "right", no_wrap=True)
    for penalty, alpha in (("l1", 0.2), ("lq", 0.12), ("l0", 0.06)):
        start = time.perf_counter()
        model = LqDictionaryLearning(128, penalty=penalty, alpha=alpha, max_iter=3, tol=0, random_state=0).fit(X)
        solution = PenalizedSparseCoder(model.components_, penalty=penalty, alpha=alpha).encode(X_test)
        seconds, certificate = time.perf_counter() - start, solution.certificate
        error = reconstruction_error(X_test, solution.x, model.components_, relative=True)
        value = f"{certificate.relative:.0e}"
        table.add_row(
            penalty, f"{mean_active(solution.x):.1f}", f"{error:.3f}", certificate.kind, value, f"{seconds:.2f}"
        )
        advance()
    return table


def poses(advance: Callable[[], None]) -> Table:
    """Bound the errors of the poses of a photograph in rendered views, from the answers of a detector of corners."""
    views = make_textured_plane_dataset(220, occlusion=0.1, random_state=0)
    X, truth, affine = views.heatmaps[200:], views.poses[200:], views.affine[200:]
    table = Table(
        title="A photograph in 20 rendered views: its pose from 9 corners, with error bounds from 200 other views",
        title_justify="left",
        caption="Medians. Bounds hold wherever the sets hold all corners; without a pose in them there is no bound.",
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("level", "corners in sets", "bounds held", "error", "bound", "s a view"):
        table.add_column(column, justify="right", no_wrap=True)
    for alpha in (0.4, 0.2, 0.1):
        model = ConformalPoseEstimator(views.points, views.camera, alpha=alpha, random_state=0)
        model.fit(views.heatmaps[:200], views.keypoints[:200])
        covered = model.detector_.predict_set(X).contains(views.keypoints[200:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of views without a pose
            found = model.predict(X, affine)
            start = time.perf_counter()
            bounds = model.predict_bounds(X, affine)
            seconds = (time.perf_counter() - start) / len(X)
        turn = rotation_angle(found[:, :, :3], truth[:, :, :3])
        move = np.linalg.norm(found[:, :, 3] - truth[:, :, 3], axis=1)
        held = (turn <= bounds["rotation_deg"]) & (move <= bounds["translation"])
        table.add_row(
            f"{1 - alpha:.0%}",
            f"{covered.mean():.0%}",
            f"{held.mean():.0%}",
            f"{np.median(turn):.1f}°, {100 * np.median(move):.1f} cm",
            f"{np.nanmedian(bounds['rotation_deg']):.0f}°, {100 * np.nanmedian(bounds['translation']):.0f} cm",
            f"{seconds:.2f}",
        )
        advance()
    return table


def solve_twice(name: str, problem: LassoProblem) -> tuple[Run, float]:
    """Solve `problem` with the backend `name`, twice, because some compile first; also return the first seconds."""
    options = {"max_iter": 1_000_000, "time_limit": SECONDS_PER_BACKEND}
    solver, _ = resolve_solver(name, problem, options=options)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        solution = solver.solve(problem, tol=TOL)
        seconds.append(time.perf_counter() - start)
    return Run(solution, seconds[1]), seconds[0]


def solve_with_all(problem: LassoProblem, advance: Callable[[], None]) -> tuple[dict[str, Run], Table]:
    """Hand `problem` to every backend."""
    table = Table(
        title=f"One Lasso problem, every backend: relative tolerance {TOL:.0e}, seconds of two calls",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in ("backend", "status", "passes", "first", "again", "objective", "gap"):
        table.add_column(column, justify="left" if column in ("backend", "status") else "right", no_wrap=True)
    runs, notes = {}, [GAP_NOTE]
    for info in list_solvers("lasso"):
        try:
            runs[info.name], first = solve_twice(info.name, problem)
        except (BackendUnavailableError, UnsupportedProblemError) as error:
            status = "missing" if isinstance(error, BackendUnavailableError) else "declined"
            table.add_row(info.name, status, *5 * "-")
            notes.append(str(error))
        else:
            solution, again = runs[info.name]
            table.add_row(
                info.name,
                f"[{'green' if solution.converged else 'yellow'}]{solution.status}[/]",
                str(solution.n_iter),
                f"{first:.3g}",
                f"{again:.3g}",
                f"{solution.objective:.6f}",
                f"{solution.certificate.value:.1e}",
            )
        advance()
    table.caption = "\n".join(notes)
    return runs, table


def path(problem: LassoProblem, advance: Callable[[], None]) -> tuple[Any, Any]:
    """Return a decreasing grid of alphas and the coefficients at each."""
    alphas = np.geomspace(problem.alpha_max(), 0.3, 60)
    solver, _ = resolve_solver("auto", problem)
    coefficients = np.stack([solution.x for solution in solver.path(problem, alphas, tol=1e-6)])
    advance()
    return alphas, coefficients


def draw(alphas: Any, coefficients: Any, names: Any, alpha: float, runs: dict[str, Run], file: Path) -> None:
    """Draw the coefficient path, and each backend's certified gap against the time."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.8), layout="constrained")
    draw_path(left, alphas, coefficients, names, alpha)
    draw_gaps(right, runs)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def draw_path(axes: Any, alphas: Any, coefficients: Any, names: Any, alpha: float) -> None:
    """Draw the coefficients against alpha, in colour those that the chosen alpha keeps."""
    at_alpha = coefficients[np.argmin(np.abs(np.log(alphas / alpha)))]
    axes.plot(alphas, coefficients[:, at_alpha == 0], color="0.82", linewidth=0.8)
    for j in sorted(np.flatnonzero(at_alpha), key=lambda j: -at_alpha[j]):
        axes.plot(alphas, coefficients[:, j], linewidth=1.8, label=label(names[j]))
    axes.axvline(alpha, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        "chosen by\ncross-validation", (alpha, 1), (-5, -2), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", ha="right", fontsize=9,
    )  # fmt: skip
    axes.set(xscale="log", xlabel="alpha", ylabel="coefficient", xlim=(alphas[0], alphas[-1]))
    axes.set_title("Lasso path: diabetes, monomials to degree 3")
    axes.legend(frameon=False, loc="lower left", fontsize=9)


def label(monomial: str) -> str:
    """Write a monomial as it is read."""
    return monomial.replace(" ", " · ").replace("^2", "²").replace("^3", "³")


def draw_gaps(axes: Any, runs: dict[str, Run]) -> None:
    """Draw what each backend has proved against the time; those that certify once, at the end, are a point."""
    for k, (name, (solution, seconds)) in enumerate(runs.items()):
        curve = [(check.seconds, check.value / solution.certificate.scale) for check in solution.history]
        if len(curve) > 1:
            axes.step(*zip(*curve, strict=True), where="post", color=f"C{k}", linewidth=1.6)
        axes.plot(seconds, solution.certificate.relative, "o", color=f"C{k}", label=name)
    axes.axhline(TOL, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        "tolerance", (0, TOL), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9
    )
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="certified gap / objective at 0")
    axes.set_title("What each backend has proved, and when")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the figure")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    diabetes = load_diabetes(scaled=False)
    X, y = diabetes.data, diabetes.target
    data = train_test_split(X, y, test_size=0.25, random_state=0)
    console.print(
        f"\n[bold]estimand[/bold]: {X.shape[0]} patients of the diabetes study, {X.shape[1]} measurements each\n"
    )

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def task(description: str, total: int) -> Callable[[], None]:
            identifier = progress.add_task(description, total=total)
            return lambda: progress.advance(identifier)

        search, predictions = predict(data, task("Cross-validation and peers", 5 * ALPHAS.size + 3))
        pipeline = search.best_estimator_
        problem = LassoProblem(
            A=np.asfortranarray(pipeline[:-1].transform(data[0])),
            y=data[2],
            alpha=float(pipeline[-1].alpha),
            fit_intercept=True,
        )
        runs, backends = solve_with_all(problem, task("Every backend", len(list_solvers("lasso"))))
        alphas, coefficients = path(problem, task("Coefficient path", 1))
        others = other_estimators(task("Other estimators", 3))
        rare = rare_events(task("Rare events", 3))
        codes = sparse_codes(task("Sparse codes", 3))
        certified = poses(task("Poses with error bounds", 3))

    console.print(predictions, "")
    console.print(backends, "")
    console.print(others, "")
    console.print(rare, "")
    console.print(codes, "")
    console.print(certified, "")
    file = output / "lasso.png"
    names = pipeline[0].get_feature_names_out(diabetes.feature_names)
    draw(alphas, coefficients, names, problem.alpha, runs, file)
    console.print(f"Figure: {file}")


if __name__ == "__main__":
    main()
