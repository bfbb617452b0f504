"""Feeds an export to the Open Bandit Pipeline and lets it estimate what another policy would have been worth."""
import json
import os
import pathlib
import re
import sys
import tempfile
from unittest import mock

# obp imports these for its plots and neural networks. Nothing here uses either, and they are gigabytes.
for name in ("matplotlib", "matplotlib.pyplot", "mypy_extensions", "seaborn", "torch", "torch.nn", "torch.optim"):
    sys.modules[name] = mock.MagicMock()
sys.modules["torch"].Tensor = type("Tensor", (), {})
sys.modules["torch"].nn = sys.modules["torch.nn"]
sys.modules["torch"].nn.Module = sys.modules["torch"].utils.data.Dataset = object

import numpy as np
import pandas
from obp.ope import (DirectMethod, DoublyRobust, InverseProbabilityWeighting, OffPolicyEvaluation,
                     SelfNormalizedInverseProbabilityWeighting)

# The lines of docs/contract.md, "Exports", as they stand there.
contract = (pathlib.Path(sys.argv[1]) / "docs" / "contract.md").read_text(encoding="utf-8")
lines = re.search(r"```python\n(rows = .*?)```", contract, re.DOTALL).group(1)
given = {"pandas": pandas}
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    pathlib.Path("rewards.csv").write_bytes(sys.stdin.buffer.read())
    exec(lines, given)
    os.chdir("/")
rows, feedback = given["rows"], given["feedback"]
items = rows.filter(regex=r"^probability_\d+$")

gold = (rows["user_feature_tier"] == "gold").to_numpy()
policy = np.zeros((len(rows), 3, 1))
policy[gold, 0, 0] = 1
policy[~gold, 1, 0] = 1
model = np.tile(np.array([0.4, 0.3, 0.1]).reshape(1, 3, 1), (len(rows), 1, 1))
evaluation = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=[
    InverseProbabilityWeighting(), SelfNormalizedInverseProbabilityWeighting(), DoublyRobust(), DirectMethod()])
values = evaluation.estimate_policy_values(action_dist=policy, estimated_rewards_by_reg_model=model)

if not np.allclose(items.sum(axis=1), 1):
    sys.exit("the probabilities of a row do not add up to 1")
names = dict(zip(rows["item_id"], rows["item"]))
odd = [name for name in rows.columns if name.startswith("user_feature_quote")]
print(json.dumps({
    **{name: float(value) for name, value in values.items()}, "rows": len(rows), "clicks": float(rows["click"].sum()),
    "items": [names[index] for index in sorted(names)], "nasty": str(rows[odd[0]].iloc[0]),
}))
