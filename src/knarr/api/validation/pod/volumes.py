"""A pod's volumes: names, one source each, the sources' own rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, items, required_name, texts
from knarr.api.validation.paths import check_descending, no_backsteps
from knarr.api.validation.pod.env import check_downward_file, check_mode
from knarr.api.validation.quantities import parse
from knarr.api.validation.volume_sources import SOURCES as SHARED
from knarr.api.validation.volume_sources import check_csi_driver
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_SOURCE_LIMIT = "may not specify more than 1 volume type"
_HOUR = 3600
_LONGEST_TOKEN = 1 << 32
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")


def check_volumes(errors: Errors, volumes: Sequence[Object], path: str) -> dict[str, Object]:
    """A pod's `volumes`. Gives the good ones by name: others count as absent where they are mounted."""
    seen: dict[str, Object] = {}
    for at, volume in enumerate(volumes):
        here = f"{path}[{at}]"
        name, before = volume.get("name", ""), len(errors)
        _check_source(errors, volume, here)
        if not name:
            errors.append(field.required(f"{here}.name"))
        else:
            wrong = names.dns_label(name)
            if wrong:
                texts(errors, f"{here}.name", name, wrong)
            elif name in seen:
                errors.append(field.duplicate(f"{here}.name", name))
        if len(errors) == before:
            seen[name] = volume
    return seen


def _check_source(errors: Errors, volume: Object, path: str) -> None:
    given = [name for name in volume if name != "name" and name in _SOURCES]
    if not given:
        errors.append(field.required(path, "must specify a volume type"))
        return
    if len(given) > 1:
        given.sort(key=_ORDER.__getitem__)
    for at, name in enumerate(given):
        if at:
            errors.append(field.forbidden(f"{path}.{_PATHS.get(name, name)}", _SOURCE_LIMIT))
        else:
            _SOURCES[name](errors, volume[name], f"{path}.{_PATHS.get(name, name)}")


def _empty_dir(errors: Errors, source: Object, path: str) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and parse(limit).sign < 0:
        errors.append(field.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def check_host_path(errors: Errors, source: Object, path: str) -> None:
    """A `hostPath` volume."""
    target = source.get("path", "")
    if not target:
        errors.append(field.required(f"{path}.path"))
        return
    no_backsteps(errors, target, f"{path}.path")
    kind = source.get("type") or ""
    if kind not in _HOST_PATH_TYPES:
        errors.append(field.not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))


_HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")


def _git_repo(errors: Errors, source: Object, path: str) -> None:
    if not source.get("repository"):
        errors.append(field.required(f"{path}.repository"))
    check_descending(errors, source.get("directory", ""), f"{path}.directory")


def _secret(errors: Errors, source: Object, path: str) -> None:
    if not source.get("secretName"):
        errors.append(field.required(f"{path}.secretName"))
    _check_files(errors, source, path)


def _config_map(errors: Errors, source: Object, path: str) -> None:
    if not source.get("name"):
        errors.append(field.required(f"{path}.name"))
    _check_files(errors, source, path)


def _check_files(errors: Errors, source: Object, path: str) -> None:
    check_mode(errors, source.get("defaultMode"), f"{path}.defaultMode")
    _check_items(errors, source, path)


def _check_items(errors: Errors, source: Object, path: str) -> None:
    for at, item in enumerate(items(source, "items")):
        _check_key_to_path(errors, item, f"{path}.items[{at}]")


def _check_key_to_path(errors: Errors, item: Object, path: str) -> None:
    if not item.get("key"):
        errors.append(field.required(f"{path}.key"))
    target = item.get("path", "")
    if not target:
        errors.append(field.required(f"{path}.path"))
    check_descending(errors, target, f"{path}.path", not_dotted=True)
    check_mode(errors, item.get("mode"), f"{path}.mode")


def _claim(errors: Errors, source: Object, path: str) -> None:
    if not source.get("claimName"):
        errors.append(field.required(f"{path}.claimName"))


def _downward(errors: Errors, source: Object, path: str) -> None:
    check_mode(errors, source.get("defaultMode"), f"{path}.defaultMode")
    for file in items(source, "items"):
        check_downward_file(errors, file, path)


def _csi(errors: Errors, source: Object, path: str) -> None:
    check_csi_driver(errors, source.get("driver", ""), f"{path}.driver")
    ref = source.get("nodePublishSecretRef")
    if ref is not None and not ref.get("name"):
        errors.append(field.required(f"{path}.nodePublishSecretRef.name"))


def _image(errors: Errors, source: Object, path: str) -> None:
    reference = source.get("reference", "")
    if not reference:
        errors.append(field.required(f"{path}.reference"))
    elif reference != reference.strip():
        wrong = "must not have leading or trailing whitespace"
        errors.append(field.invalid(f"{path}.reference", reference, wrong))
    policy = source.get("pullPolicy", "")
    if policy not in ("Always", "IfNotPresent", "Never"):
        errors.append(field.not_supported(f"{path}.pullPolicy", policy, ("Always", "IfNotPresent", "Never")))


def _ephemeral(errors: Errors, source: Object, path: str) -> None:
    template = source.get("volumeClaimTemplate")
    here = f"{path}.volumeClaimTemplate"
    if template is None:
        errors.append(field.required(here))
        return
    from knarr.api.validation.persistent_volume_claim import check_claim_template

    check_claim_template(errors, template, here)


def _projected(errors: Errors, source: Object, path: str) -> None:
    check_mode(errors, source.get("defaultMode"), f"{path}.defaultMode")
    paths: set[str] = set()
    for at, part in enumerate(items(source, "sources")):
        here = f"{path}.sources[{at}]"
        given = [name for name in _PROJECTIONS if name in part]
        for name in given[:1]:
            _PROJECTIONS[name](errors, part[name], f"{here}.{name}")
            _check_paths(errors, name, part[name], here, paths)
        for name in given[1:]:
            errors.append(field.forbidden(f"{here}.{name}", _SOURCE_LIMIT))


def _check_paths(errors: Errors, name: str, part: Object, path: str, seen: set[str]) -> None:
    if name in ("serviceAccountToken", "clusterTrustBundle"):
        targets = [part.get("path", "")]
    elif name == "podCertificate":
        targets = [part[key] for key in ("credentialBundlePath", "keyPath", "certificateChainPath") if part.get(key)]
    else:
        targets = [item.get("path", "") for item in items(part, "items")]
    for target in targets:
        if target in seen and target:
            errors.append(field.invalid(path, target, "conflicting duplicate paths"))
        seen.add(target)


def _projected_map(errors: Errors, part: Object, path: str) -> None:
    if not part.get("name"):
        errors.append(field.required(f"{path}.name"))
    _check_items(errors, part, path)


def _projected_downward(errors: Errors, part: Object, path: str) -> None:
    for file in items(part, "items"):
        check_downward_file(errors, file, path)


def _token(errors: Errors, part: Object, path: str) -> None:
    seconds = part.get("expirationSeconds", 0)
    if seconds < 600:
        wrong = "may not specify a duration less than 10 minutes"
        errors.append(field.invalid(f"{path}.expirationSeconds", seconds, wrong))
    if seconds > _LONGEST_TOKEN:
        wrong = "may not specify a duration larger than 2^32 seconds"
        errors.append(field.invalid(f"{path}.expirationSeconds", seconds, wrong))
    _check_required_path(errors, part.get("path", ""), f"{path}.path")


def _check_required_path(errors: Errors, target: str, path: str) -> None:
    if not target:
        errors.append(field.required(path))
    else:
        check_descending(errors, target, path, not_dotted=True)


def _trust_bundle(errors: Errors, part: Object, path: str) -> None:
    name, signer = part.get("name"), part.get("signerName")
    if name is not None and signer is not None:
        wrong = "only one of name and signerName may be used"
        errors.append(field.invalid(path, part, wrong))
    elif name is not None:
        required_name(errors, f"{path}.name", name, names.dns_subdomain)
        if part.get("labelSelector") is not None:
            wrong = "labelSelector must be unset if name is specified"
            errors.append(field.invalid(f"{path}.labelSelector", part["labelSelector"], wrong))
    elif signer is None:
        errors.append(field.invalid(path, part, "either name or signerName must be specified"))
    elif not signer:
        errors.append(field.required(f"{path}.signerName"))
    _check_required_path(errors, part.get("path", ""), f"{path}.path")


def _pod_certificate(errors: Errors, part: Object, path: str) -> None:
    if not part.get("signerName"):
        errors.append(field.required(f"{path}.signerName"))
    kind = part.get("keyType", "")
    if kind not in _KEY_TYPES:
        errors.append(field.not_supported(f"{path}.keyType", kind, _KEY_TYPES))
    longest = part.get("maxExpirationSeconds")
    if longest is not None and not _HOUR <= longest <= 91 * 24 * _HOUR:
        wrong = f"must be between {_HOUR} and {91 * 24 * _HOUR}, inclusive"
        errors.append(field.invalid(f"{path}.maxExpirationSeconds", longest, wrong))
    given = [key for key in ("credentialBundlePath", "keyPath", "certificateChainPath") if part.get(key)]
    if not given:
        wrong = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        errors.append(field.required(path, wrong))
    for key in given:
        check_descending(errors, part[key], f"{path}.{key}", not_dotted=True)


_PROJECTIONS: dict[str, Callable[[Errors, Object, str], None]] = {
    "secret": _projected_map,
    "configMap": _projected_map,
    "downwardAPI": _projected_downward,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _trust_bundle,
    "podCertificate": _pod_certificate,
}
_OWN: dict[str, Callable[[Errors, Object, str], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": check_host_path,
    "gitRepo": _git_repo,
    "secret": _secret,
    "configMap": _config_map,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
#: In the order in which Kubernetes looks for a second source.
_NAMES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)
_SOURCES = {name: _OWN.get(name) or SHARED[name] for name in _NAMES}
_ORDER = {name: at for at, name in enumerate(_NAMES)}
_PATHS = {"gcePersistentDisk": "persistentDisk"}
