# make demo: a bare staging host becomes a served site on this machine. make test: everything that is checked.
# Both work right after git clone on Debian 12 or 13, as root or with sudo; a rerun installs nothing.
PYTHON ?= python3

.PHONY: demo test bench power-cuts packages
demo: .venv/installed
	.venv/bin/invoke demo

test: .venv/installed
	.venv/bin/invoke test

bench: .venv/installed
	.venv/bin/invoke bench

power-cuts: .venv/installed
	.venv/bin/invoke power-cuts

packages:
	@sh setup.sh $(PYTHON)

.venv/installed: setup.cfg pyproject.toml | packages
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@
