"""What the Open Bandit Pipeline says of its own sample of real data: six logs, and three policies on each.

Prints one JSON document a log: the rows as numbers, tables of the policies' probabilities and of what a model expects,
and the pipeline's estimates.
"""
import json
import pathlib
import sys
from unittest import mock

# obp imports these for its plots and neural networks. Nothing here uses either, and they are gigabytes.
for name in ("matplotlib", "matplotlib.pyplot", "mypy_extensions", "seaborn", "torch", "torch.nn", "torch.optim"):
    sys.modules[name] = mock.MagicMock()
sys.modules["torch"].Tensor = type("Tensor", (), {})
sys.modules["torch"].nn = sys.modules["torch.nn"]
sys.modules["torch"].nn.Module = sys.modules["torch"].utils.data.Dataset = object

import numpy as np
import obp
import pandas
from obp.ope import (DirectMethod, DoublyRobust, InverseProbabilityWeighting, OffPolicyEvaluation,
                     SelfNormalizedDoublyRobust, SelfNormalizedInverseProbabilityWeighting, SwitchDoublyRobust)

TAU = 2.5
folder = pathlib.Path(obp.__file__).parent / "dataset" / "obd"
for behaviour in ("random", "bts"):
    for campaign in ("all", "men", "women"):
        rows = pandas.read_csv(folder / behaviour / campaign / f"{campaign}.csv", index_col=0)
        action = rows["item_id"].to_numpy()
        position = (np.unique(rows["position"], return_inverse=True)[1]).astype(int)
        reward = rows["click"].to_numpy()
        score = rows["propensity_score"].to_numpy()
        # Who has the same features counts as the same kind of person.
        people = rows.filter(regex="^user_feature").astype(str).agg("|".join, axis=1)
        kind = pandas.factorize(people)[0] % 7
        actions, positions = int(action.max()) + 1, int(position.max()) + 1
        draw = np.random.default_rng(20)
        # By kind, action and position. The second kind of policy is sharp, the third knows one action only.
        model = np.clip(draw.beta(1, 40, (7, actions, positions)), 1e-4, 1)
        soft = np.exp(draw.normal(0, 0.7, (7, actions, positions)))
        sharp = np.exp(draw.normal(0, 3, (7, actions, positions)))
        single = np.zeros((7, actions, positions))
        for group in range(7):
            for place in range(positions):
                single[group, draw.integers(actions), place] = 1
        policies = [table / table.sum(axis=1, keepdims=True) for table in (soft, sharp, single)]
        feedback = dict(n_rounds=len(rows), n_actions=actions, action=action, position=position, reward=reward,
                        pscore=score, context=np.zeros((len(rows), 1)), action_context=np.zeros((actions, 1)))
        evaluation = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=[
            InverseProbabilityWeighting(), SelfNormalizedInverseProbabilityWeighting(), DirectMethod(), DoublyRobust(),
            SelfNormalizedDoublyRobust(), SwitchDoublyRobust(tau=TAU)])
        estimates = [evaluation.estimate_policy_values(
            action_dist=table[kind], estimated_rewards_by_reg_model=model[kind]) for table in policies]
        print(json.dumps({
            "name": f"{behaviour}/{campaign}", "tau": TAU, "action": action.tolist(), "position": position.tolist(),
            "reward": reward.tolist(), "score": score.tolist(), "kind": kind.tolist(),
            # By kind and position, then by action.
            "model": np.swapaxes(model, 1, 2).tolist(),
            "policies": [np.swapaxes(table, 1, 2).tolist() for table in policies],
            "estimates": [{name: float(value) for name, value in values.items()} for values in estimates],
        }))
