"""One spelling of a JSON value: what is hashed, and what stands in files, is the same everywhere."""

import json


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces, not escaped beyond what JSON asks for."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
