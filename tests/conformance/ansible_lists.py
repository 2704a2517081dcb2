"""What `ansible-inventory --list` prints for many inventories, with Ansible imported once. Runs beside ansible-core.

ansible_lists.py FOLDER: reads FOLDER/*/sources, a JSON list each; writes FOLDER/*/ansible.json: {"list", "stderr"}.
Each inventory has a process of its own, since Ansible keeps what it has read.
"""

import json
import os
import sys
from pathlib import Path

from ansible.cli.inventory import InventoryCLI
from ansible.plugins.loader import init_plugin_loader, inventory_loader, vars_loader

init_plugin_loader()
for name in ("host_list", "script", "auto", "yaml", "ini", "toml"):  # once, not in each child: 2 s each
    inventory_loader.get(name)
vars_loader.get("host_group_vars")


def listed(folder: Path) -> None:
    """In a child: the command's own code, its output in files of the folder."""
    os.chdir(folder)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    words = [word for source in json.loads(Path("sources").read_text()) for word in ("-i", source)]
    InventoryCLI(["ansible-inventory", *words, "--playbook-dir", ".", "--list"]).run()


for one in sorted(Path(sys.argv[1]).absolute().iterdir()):
    child = os.fork()
    if not child:
        code = 1
        try:
            listed(one)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException as error:  # what Ansible's own entry would turn into a line and a code
            os.write(2, f"ERROR: {error}\n".encode())
        finally:
            sys.stdout.flush()
            os._exit(code)
    failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = None if failed else json.loads((one / "stdout").read_text())
    answer = {"list": found, "stderr": (one / "stderr").read_text(errors="replace")}
    (one / "ansible.json").write_text(json.dumps(answer))
