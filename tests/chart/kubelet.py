"""What does a container find in its folders?  The volumes of a rendered pod, laid out as a kubelet does it.

Files of ConfigMaps and Secrets are links through ``..data``, and have the mode that the volume says.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import yaml

from ott_extauthz.documents.located import read_yaml

USUAL_MODE: Final = 0o644
_ROOTS: Final = ("/etc/ott", "/ott/", "/var/lib/ott")
Files = Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine with its ConfigMaps and Secrets by name; ``folder`` stands for the container's ``/``."""

    folder: Path
    config_maps: Mapping[str, Files] = field(default_factory=dict)
    secrets: Mapping[str, Files] = field(default_factory=dict, repr=False)

    def start(self, pod: Mapping[str, Any], container: Mapping[str, Any]) -> None:
        """Mount everything that the container mounts.

        Raises:
            KeyError: a volume, an object or a key that there is not: the pod would never start.
        """
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in container["volumeMounts"]:
            self._mount(volumes[mount["name"]], self.inside(mount["mountPath"]))

    def inside(self, path: str) -> Path:
        """Return where a path of the container is."""
        return self.folder / path.removeprefix("/")

    def localised(self) -> Path:
        """Let the mounted ott.yaml name this folder's files instead of the container's; returns its path."""
        path = self.inside("/etc/ott/ott.yaml")
        told = read_yaml(path.read_text(), "ott.yaml").data
        here = path.with_name("here.yaml")
        here.write_text(yaml.safe_dump(self._localised(told)))
        return here

    def swap(self, path: str, files: Files, *, mode: int = USUAL_MODE) -> None:
        """Let a mounted volume hold something else, from one moment to the next."""
        _put(self.inside(path), ((name, content, mode) for name, content in files.items()))

    def _localised(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._localised(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._localised(part) for part in value]
        if isinstance(value, str) and value.startswith(_ROOTS):
            return str(self.inside(value))
        return value

    def _mount(self, volume: Mapping[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True)
        if "emptyDir" in volume or "persistentVolumeClaim" in volume:
            return
        _put(folder, self._files(volume))

    def _files(self, volume: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes, int]]:
        whole = volume.get("projected") or volume.get("configMap") or volume["secret"]
        mode = whole.get("defaultMode", USUAL_MODE)
        for source in whole.get("sources", [volume]):
            for name, content in self._of(source).items():
                yield name, content, mode

    def _of(self, source: Mapping[str, Any]) -> Files:
        if "configMap" in source:
            chosen, files = source["configMap"], self.config_maps[source["configMap"]["name"]]
        else:
            chosen = source["secret"]
            files = self.secrets[chosen.get("secretName", chosen.get("name"))]
        items = chosen.get("items")
        return files if items is None else {item["path"]: files[item["key"]] for item in items}


def _put(folder: Path, files: Iterable[tuple[str, str | bytes, int]]) -> None:
    """Write a new folder, bend the link, and remove the old one."""
    link, bent = folder / "..data", folder / "..data_tmp"
    before = link.resolve() if link.is_symlink() else None
    data = folder / f"..{len(list(folder.iterdir()))}{'' if before is None else before.name}"
    data.mkdir()
    for name, content, mode in files:
        path = data / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        shown = folder / Path(name).parts[0]
        if not shown.is_symlink():
            shown.symlink_to(Path("..data") / shown.name)
    bent.symlink_to(data.name)
    bent.rename(link)
    if before is not None:
        rmtree(before)
