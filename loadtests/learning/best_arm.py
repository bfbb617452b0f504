#!/usr/bin/env python3
"""Writes Tests/LearningTests/ArmReference.swift: P(arm is best) for posteriors of several shapes, by scipy's distributions on
a fixed grid of panels with 256 Gauss-Legendre nodes each. An independent judge of Sources/Learning/Arms/BestArm.swift.

    loadtests/learning/best_arm.py > Tests/LearningTests/ArmReference.swift
"""
import numpy as np
from scipy.stats import beta, t

rng = np.random.default_rng(20)


def best(distributions, tail=1e-15, panels=100, nodes=256):
    low = max(d.ppf(tail) for d in distributions)
    high = max(d.isf(tail) for d in distributions)
    edges = np.linspace(low, high, panels + 1)
    x0, w0 = np.polynomial.legendre.leggauss(nodes)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    x, w = (middle[:, None] + half[:, None] * x0).ravel(), (half[:, None] * w0).ravel()
    below = np.array([d.logcdf(x) for d in distributions])
    above = np.nan_to_num(below, neginf=-1e300)
    p = np.array([
        (np.exp(d.logpdf(x) + above.sum(0) - above[i]) * w).sum() for i, d in enumerate(distributions)
    ])
    return p


def shares(name, arms, trials, costs=False):
    n = rng.integers(trials // 2, trials + 1, arms)
    y = rng.binomial(n, rng.uniform(0.02, 0.08, arms))
    a, b = 1.0 + y, 20.0 + n - y
    cost = np.round(rng.uniform(0, 0.03, arms), 4) if costs else np.zeros(arms)
    p = best([beta(*ab, loc=-c) for *ab, c in zip(a, b, cost)])
    return name, ".beta", np.c_[a, b, cost], p


def values(name, arms):
    mean, scale = np.round(rng.normal(3, 1, arms), 3), np.round(np.exp(rng.normal(-1, 1, arms)), 4)
    degrees = np.round(rng.uniform(6, 60, arms), 1)
    return name, ".student", np.c_[mean, scale, degrees], best([t(d, m, s) for m, s, d in zip(mean, scale, degrees)], panels=1000)


CASES = [
    shares("three cold arms", 3, 5), shares("four variants on three channels", 12, 400),
    shares("with costs", 12, 4000, costs=True), shares("24 hours", 24, 2000), shares("168 slots", 168, 300),
    shares("much evidence", 12, 200_000), values("values", 8),
]

print("// Written by loadtests/learning/best_arm.py.\n")
print("/// P(arm is best), by scipy with 256 nodes a panel.")
print("enum ArmReference {\n    struct Case: Sendable {\n        var name: String\n        var isBeta: Bool")
print("        var parameters: [[Double]]\n        var probabilities: [Double]\n    }\n")
print("    static let cases = [")
for name, kind, parameters, p in CASES:
    assert abs(p.sum() - 1) < 1e-9, (name, p.sum() - 1)
    print(f'        Case(\n            name: "{name}", isBeta: {"true" if kind == ".beta" else "false"},\n            parameters: [')
    for row in parameters.tolist():
        print("                [" + ", ".join(repr(v) for v in row) + "],")
    print("            ],\n            probabilities: [")
    for v in p.tolist():
        print(f"                {v!r},")
    print("            ]),")
print("    ]\n}")
