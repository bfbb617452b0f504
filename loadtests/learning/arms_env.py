#!/usr/bin/env python3
"""Measures the fleet's own choice among arms in the environment of variant_env.py: the same random streams, the same lag,
the same score. The agent is any program that speaks the JSON lines of Sources/martlet/Learning/ArmsAgent.swift:

    loadtests/learning/arms_env.py --agent '.build/release/martlet learn-agent --arms' --seeds 5

It needs numpy. `score` is the share of the way from random (0) to the best arm for each context (1); `ips_bias` is what the
logged propensities make of the uniform policy's conversion rate, divided by the truth, less 1.
"""
import argparse
import json
import math
import shlex
import subprocess

import numpy as np

from variant_env import A, CH, COST, VA, VEnv, elig

HOUR = 3_600_000
CHANNELS = ["email", "push", "sms"]


class Agent:
    def __init__(self, command):
        self.process = subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request, separators=(",", ":")) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise SystemExit(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(agent, policy, seed=0, T=480, N=250, rate=0.04, lag=1, every=1, drift=True, delays=True):
    env = VEnv(T, N, rate, seed, drift=drift)
    rng, orng = np.random.default_rng(77 + seed), np.random.default_rng(5 + seed)
    ages = [0, 0.25, 0.5, 0.75] + list(range(1, env.window + 1))
    agent.ask(
        op="start",
        policy=policy,
        arms=[
            {"id": f"a{a}", "channel": CHANNELS[CH[a]], "template": f"v{VA[a]}", "cost": float(COST[a])}
            for a in range(A)
        ],
        delays=[[age * 3600, float(env.F(age))] for age in ages] if delays else None,
    )
    arrivals = [[] for _ in range(T + 1)]
    sent = []
    value = dict(pi=0.0, rnd=0.0, orc=0.0)
    ips = ipsn = wsum = w2 = 0.0
    for t in range(T):
        P, tags, el = env.P(t), orng.integers(0, 6, N), elig(env, N, orng)
        see = max(0, t - lag)
        rows = [row(tag, a, r, 0, 1) for tag, a, r in arrivals[see]]
        if t >= lag and see > 0:
            rows += [row(tag, a, see - 1, 1, 0) for tag, a in sent[see - 1]]
        if rows:
            agent.ask(op="learn", rows=rows)
        if see > 0 and t % every == 0:
            agent.ask(op="fit", now=see * HOUR)
        decisions = [
            {"id": f"{seed}-{t}-{i}", "user": f"u{t}-{i}", "context": {"tag": f"g{tags[i]}"},
             "arms": np.flatnonzero(el[i]).tolist()}
            for i in range(N)
        ]
        answer = agent.ask(op="choose", decisions=decisions)
        a, ps, ne = np.array(answer["arms"]), np.array(answer["propensities"]), el.sum(1)
        p = P[tags, a]
        value["pi"] += (p - COST[a]).sum()
        Ve = np.where(el, (P - COST)[tags], np.nan)
        value["rnd"] += np.nanmean(Ve, 1).sum()
        value["orc"] += np.nanmax(Ve, 1).sum()
        conv, delay = orng.random(N) < p, env.delay(N)
        w = 1 / ne / ps
        ips += (w * p).sum()
        ipsn += (np.where(el, P[tags], 0).sum(1) / ne).sum()
        wsum, w2 = wsum + w.sum(), w2 + (w * w).sum()
        sent.append(list(zip(tags.tolist(), a.tolist())))
        for i in np.where(conv & (delay <= env.window))[0]:
            k = t + math.ceil(delay[i])
            if k < T:
                arrivals[k].append((int(tags[i]), int(a[i]), t))
    return dict(
        score=(value["pi"] - value["rnd"]) / (value["orc"] - value["rnd"]), ips_bias=ips / ipsn - 1,
        ess_frac=wsum**2 / w2 / (T * N), support=wsum / (T * N),
    )


def row(tag, arm, batch, trials, reward):
    return {"context": {"tag": f"g{tag}"}, "arm": arm, "sent_at": batch * HOUR, "trials": trials, "reward": reward}


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--agent", required=True, help="the command that answers JSON lines")
    ap.add_argument("--seeds", type=int, default=5)
    ap.add_argument("--first", type=int, default=0, help="the first seed")
    ap.add_argument("--policy", default="{}", help="settings as JSON, such as {\"kind\":\"softmax\"}")
    ap.add_argument("--lag", type=int, default=1, help="age of the statistics, in batches of an hour")
    ap.add_argument("--every", type=int, default=1, help="train every so many hours")
    ap.add_argument("--bar", type=float, default=0, help="fail below this mean score")
    args = ap.parse_args()
    agent = Agent(args.agent)
    results = []
    for seed in range(args.first, args.first + args.seeds):
        results.append(run(agent, json.loads(args.policy), seed, lag=args.lag, every=args.every))
        print(seed, json.dumps({k: round(float(v), 4) for k, v in results[-1].items()}), flush=True)
    agent.close()
    mean = {k: float(np.mean([r[k] for r in results])) for k in results[0]}
    print("mean", json.dumps({k: round(v, 4) for k, v in mean.items()}))
    raise SystemExit(mean["score"] < args.bar)
