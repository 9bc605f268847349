"""Make the coefficients in charrnn/kernels/activations.py: minimax fits of exp and tanh.

    python benchmarks/fit_activations.py

Lawson's method: weighted least squares in float64, each point's weight multiplied by its error until the
error is level.  exp is fitted on [-ln2/2, ln2/2] by a polynomial, tanh on [-9, 9] by x P(x²) / Q(x²) (the
rational problem linearised round the last Q), both in relative error.  Printed: coefficients rounded to
float32, lowest power first, and the relative error that the fit itself has.
"""

import math

import numpy as np


def lawson(columns, target, rounds):
    """Coefficients of ``columns`` (points, n) nearest to ``target`` in the maximum norm."""
    weight = np.ones(len(target))
    best, best_error = None, math.inf
    for _ in range(rounds):
        root = np.sqrt(weight)[:, None]
        coefficients = np.linalg.lstsq(columns * root, target * root[:, 0], rcond=None)[0]
        error = np.abs(columns @ coefficients - target)
        if error.max() < best_error:
            best, best_error = coefficients, error.max()
        weight *= error / error.mean() + 1e-3
        weight /= weight.mean()
    return best, best_error


def chebyshev(low, high, points):
    return (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(points) + 0.5) / points)


def fit_exp(degree=6):
    """exp(r) = 1 + r + r² p(r): the first two coefficients stay exact."""
    r = chebyshev(-math.log(2) / 2, math.log(2) / 2, 2000)
    r = r[np.abs(r) > 1e-3]
    value = np.exp(r)
    columns = np.stack([r**k / value for k in range(2, degree + 1)], axis=1)
    return lawson(columns, (value - 1 - r) / value, 200)


def fit_tanh(limit=9.0, numerator=6, denominator=3):
    """tanh(x) = x P(u) / Q(u), u = x², Q(0) = 1."""
    scale = limit**2
    x = np.concatenate([chebyshev(0, limit, 4000), chebyshev(0, 2.0, 4000)])
    x = x[x > 1e-3]
    u, value = x * x / scale, np.tanh(x) / x
    q = np.ones(denominator)
    for _ in range(60):
        size = 1 + sum(q[k] * u ** (k + 1) for k in range(denominator))
        columns = np.stack(
            [u**k / (size * value) for k in range(numerator + 1)]
            + [-value * u ** (k + 1) / (size * value) for k in range(denominator)],
            axis=1,
        )
        coefficients, error = lawson(columns, 1 / size, 60)
        q = coefficients[numerator + 1 :]
    p = coefficients[: numerator + 1] / scale ** np.arange(numerator + 1)
    return p, np.concatenate([[1.0], q / scale ** np.arange(1, denominator + 1)]), error


def main():
    coefficients, error = fit_exp()
    print(f"exp, from r²: {[float(np.float32(c)) for c in coefficients]}  relative error {error:.1e}")
    p, q, error = fit_tanh()
    print(f"tanh P: {[float(np.float32(c)) for c in p]}")
    print(f"tanh Q: {[float(np.float32(c)) for c in q]}  relative error {error:.1e}")
    # The same value times a common factor lets every coefficient be rounded well.


if __name__ == "__main__":
    main()
