"""The Hugging Face Hub: uploads as one commit, downloads of a pinned revision, and clear errors."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from model.errors import CheckpointError, HubError

Operation = CommitOperationAdd | CommitOperationDelete

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SIGN_IN = "Sign in with `hf auth login`, or set HF_TOKEN to a token from huggingface.co/settings/tokens."


class Upload(NamedTuple):
    """The result of an upload.

    Attributes:
        repo_id: ``ORG/NAME``.
        revision: the commit's hash.
        url: of the page that shows it.
    """

    repo_id: str
    revision: str
    url: str

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.revision}"


def is_reference(text: str) -> bool:
    """Whether a text has the form ``ORG/NAME@REVISION`` and is not an existing path."""
    name, at, revision = text.partition("@")
    return bool(at and revision and _NAME.fullmatch(name)) and not os.path.exists(text)


def parse(reference: str) -> tuple[str, str]:
    """``ORG/NAME@REVISION`` → (``ORG/NAME``, ``REVISION``).

    Raises:
        CheckpointError: it has another form.
    """
    name, _, revision = reference.partition("@")
    if reference.startswith(("/", ".")) or reference.count("/") != 1:
        raise CheckpointError(
            f"There is no folder {reference}.",
            hint="Name a checkpoint folder, or a Hub repository as ORG/NAME@REVISION.",
        )
    if not revision:
        raise CheckpointError(
            f"There is no folder {reference}, and as a Hub repository it names no revision.",
            hint=f"Pin what will be served: {reference}@COMMIT (a branch or tag name works, but can move).",
        )
    return name, revision


def download(repo_id: str, revision: str, patterns: Sequence[str]) -> Path:
    """Download files of a model repository, or find them in the cache.

    Args:
        repo_id: ``ORG/NAME``.
        revision: a commit, branch or tag.
        patterns: which files.

    Returns:
        A folder whose name is the commit's hash, whatever the revision was called.

    Raises:
        HubError: they cannot be downloaded.
    """
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # The client also raises errors of its HTTP library and of its threads.
        raise explain(f"{repo_id} at the revision {revision!r} cannot be fetched", error) from error


def upload(
    repo_id: str,
    files: Mapping[str, Path | bytes],
    *,
    kind: str,
    message: str,
    private: bool = False,
    replaces: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Upload:
    """Upload files in one commit; the repository is created if needed.

    A failure before the commit leaves the repository unchanged; large files that arrived by then need not be
    sent again.

    Args:
        repo_id: ``ORG/NAME``.
        files: path in the repository → file here, or its content.
        kind: ``model``, ``dataset`` or ``space``.
        message: of the commit.
        private: a new repository is private; one that exists must be.
        replaces: patterns; files there that match one and are not among ``files`` are deleted.
        variables: environment of a Space.

    Raises:
        HubError: the Hub refuses, cannot be reached, or the repository is public against ``private``.
    """
    if not _NAME.fullmatch(repo_id):
        raise HubError(
            f"{repo_id!r} is not a valid repository name; ORG/NAME is expected.", hint="Correct the name."
        )
    api = HfApi()
    sdk = "gradio" if kind == "space" else None
    try:
        api.create_repo(
            repo_id,
            repo_type=kind,
            private=private or None,
            exist_ok=True,
            space_sdk=sdk,
            space_variables=[{"key": name, "value": value} for name, value in variables.items()] or None,
        )
        there = api.repo_info(repo_id, repo_type=kind)
        if private and there.private is False:
            raise HubError(
                f"{repo_id} exists and is public, but the upload is meant to be private; nothing was sent.",
                hint="Make it private in its settings, choose another name, or say that it may be public.",
            )
        old = api.list_repo_files(repo_id, repo_type=kind, revision=there.sha)
        done = api.create_commit(
            repo_id,
            list(_operations(files, old, replaces)),
            repo_type=kind,
            commit_message=message,
            parent_commit=there.sha,
        )
    except HubError:
        raise
    except Exception as error:  # as in `download`
        raise explain(f"The upload to {repo_id} failed and nothing was published", error) from error
    try:
        before = (
            {name: found.value for name, found in api.get_space_variables(repo_id).items()}
            if variables
            else {}
        )
        for name, value in variables.items():
            if before.get(name) != value:  # a change restarts the Space
                api.add_space_variable(repo_id, name, value)
    except Exception as error:  # as in `download`
        what = f"The files are in {repo_id} now, but its variable {', '.join(variables)} could not be set"
        raise explain(what, error) from error
    return Upload(repo_id, done.oid, str(done.commit_url))


def _operations(
    files: Mapping[str, Path | bytes], old: Iterable[str], replaces: Sequence[str]
) -> Iterator[Operation]:
    for path, content in sorted(files.items()):
        yield CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
    for path in old:
        if path not in files and any(fnmatch.fnmatch(path, pattern) for pattern in replaces):
            yield CommitOperationDelete(path, is_folder=False)


def explain(what: str, error: BaseException) -> HubError:
    """Explain an error that the Hub's client raised.

    Args:
        what: what failed, without a full stop.
        error: what the client raised.
    """
    for cause in _causes(error):
        if found := _problem(cause):
            return HubError(f"{what}: {found[0]}.", hint=found[1])
    one_line = " ".join(str(error).split())
    return HubError(f"{what}: {type(error).__name__}: {one_line}", hint="Run it again; what arrived is kept.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _problem(error: BaseException) -> tuple[str, str] | None:
    """(what is wrong, what to do) if the error is a known one."""
    signed_in = get_token() is not None
    if isinstance(error, HFValidationError):
        return (
            "this is not a valid repository name",
            "Check the name: ORG/NAME, of letters, digits, '-', '_' and '.'.",
        )
    if isinstance(error, OfflineModeIsEnabled) or (
        constants.HF_HUB_OFFLINE and isinstance(error, LocalEntryNotFoundError)
    ):
        return "HF_HUB_OFFLINE is set, so the Hub is not contacted", "Unset it to use the Hub."
    if isinstance(error, GatedRepoError):
        return "access must be requested from its owner", f"Ask for access on its page. {_SIGN_IN}"
    if isinstance(error, RevisionNotFoundError):
        return "the repository has no such revision", "Check the spelling of the commit, branch or tag."
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, signed_in)
    if isinstance(error, (HTTPError, ConnectionError, TimeoutError, LocalEntryNotFoundError)):
        return (
            f"the Hub at {constants.ENDPOINT} cannot be reached, or the connection broke",
            "Check the connection and run it again; what arrived need not be sent again.",
        )
    return None


def _refusal(error: HfHubHTTPError, signed_in: bool) -> tuple[str, str]:
    status = error.response.status_code
    if status == 401 and signed_in and not isinstance(error, RepositoryNotFoundError):
        return "the Hub does not accept the token (401)", f"It may be wrong or expired. {_SIGN_IN}"
    if isinstance(error, RepositoryNotFoundError):
        if signed_in:
            return (
                f"there is no such repository, or this token may not see it ({status})",
                "Check the spelling; if it is private, use a valid token of someone who has access.",
            )
        return (
            f"there is no such repository, or it is private ({status})",
            f"Check the spelling; for a private one: {_SIGN_IN}",
        )
    if status == 401:
        return "nobody is signed in (401)", _SIGN_IN
    reason = " ".join((error.server_message or str(error)).split()).rstrip(".")
    if status == 403:
        return f"the token may not do this (403: {reason})", "Use a token with write access to this owner."
    if status == 412:
        return (
            "someone else changed the repository meanwhile (412)",
            "Check what changed, and run it again.",
        )
    if status == 429 or status >= 500:
        return f"the Hub is busy or has a fault ({status})", "Wait a little and run it again."
    return f"the Hub refuses ({status}: {reason})", "Correct what it names, and run it again."
