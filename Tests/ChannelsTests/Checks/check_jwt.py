"""Verifies a JWT with PyJWT: reads {"token", "public_key", "audience", "algorithm"} and prints the claims and header."""
import json
import sys

import jwt

case = json.load(sys.stdin)
claims = jwt.decode(
    case["token"], case["public_key"], algorithms=[case.get("algorithm", "RS256")],
    audience=case.get("audience"),
    options={"verify_exp": False, "verify_iat": False})
print(json.dumps({"claims": claims, "header": jwt.get_unverified_header(case["token"])}))
