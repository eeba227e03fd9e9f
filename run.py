"""``python run.py`` = ``python -m orch`` = ``orch``."""

from orch.main import main

if __name__ == "__main__":
    raise SystemExit(main())
