"""``python -m orch``: the same as ``orch``."""

from orch.main import main

if __name__ == "__main__":
    raise SystemExit(main())
