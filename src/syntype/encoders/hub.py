"""Files of the Hugging Face hub: from the cache if they are there, else downloaded.

What is in the cache is used as it is, without asking the hub whether there is something newer:
a run must not change because somebody pushed to a repository, and compute nodes have no network.
`org/name@revision` pins a commit, a tag or a branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syntype.errors import UnknownEncoderError, WeightsError


@dataclass(frozen=True)
class HubRepo:
    """A model repository, perhaps at a revision."""

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HubRepo":
        """The repository that `org/name` or `org/name@revision` means.

        Raises:
            UnknownEncoderError: `text` has another form.
        """
        name, _, revision = text.partition("@")
        parts = name.split("/")
        if len(parts) != 2 or not all(parts):
            raise UnknownEncoderError(
                f"{text!r} is not a repository of the hub. Write it as organisation/name, for "
                "example hf-hub:imageomics/bioclip-2."
            )
        return cls(name, revision or None)

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def cached(repo: HubRepo, choices: Sequence[str]) -> Path | None:
    """The first of the files `choices` that lies in the cache."""
    from huggingface_hub import try_to_load_from_cache

    for filename in choices:
        found = try_to_load_from_cache(repo.name, filename, revision=repo.revision)
        if isinstance(found, str):
            return Path(found)
    return None


def fetch(
    repo: HubRepo, choices: Sequence[str], spec: str, together_with: Sequence[str] = ()
) -> Path:
    """The first of the files `choices` that the repository holds, downloaded if need be.

    Args:
        repo: The repository.
        choices: Names of one file in several formats, the preferred one first.
        spec: The encoder it is for, for the messages.
        together_with: Other files that the encoder needs, for the messages.

    Raises:
        UnknownEncoderError: There is no such repository or revision.
        WeightsError: The file is not in the cache and cannot be downloaded, or the repository
            does not hold it.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_download, hf_hub_url

    found = cached(repo, choices)
    if found is not None:
        return found
    for filename in choices:
        try:
            # Asked once first: the download itself would try an absent network for a minute.
            get_hf_file_metadata(hf_hub_url(repo.name, filename, revision=repo.revision))
            return Path(hf_hub_download(repo.name, filename, revision=repo.revision))
        except errors.GatedRepoError as error:
            raise WeightsError(
                f"{spec}: {repo} is gated. Accept its terms on its page on the hub, log in with "
                "`hf auth login`, and run the same command again."
            ) from error
        except (
            errors.RepositoryNotFoundError,
            errors.RevisionNotFoundError,
            errors.HFValidationError,
        ) as error:
            raise UnknownEncoderError(
                f"{spec}: the hub has no model {repo}. Check its spelling; a private one needs "
                "`hf auth login`."
            ) from error
        except errors.LocalEntryNotFoundError as error:
            raise WeightsError(_unreachable(repo, choices, together_with, spec, error)) from error
        except errors.EntryNotFoundError:
            continue
        except Exception as error:  # of httpx or requests, depending on the hub's version
            raise WeightsError(_unreachable(repo, choices, together_with, spec, error)) from error
    raise WeightsError(
        f"{spec}: {repo} holds none of {', '.join(choices)}, so it is not in the format of this "
        "source. docs/reference/encoders.md says which source reads what."
    )


def _unreachable(
    repo: HubRepo,
    choices: Sequence[str],
    together_with: Sequence[str],
    spec: str,
    error: Exception,
) -> str:
    from huggingface_hub import constants

    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else lines[0].rstrip(".")
    revision = f" --revision {repo.revision}" if repo.revision else ""
    files = " ".join(dict.fromkeys([choices[0], *together_with]))
    return (
        f"{spec} needs {' or '.join(choices)} of {repo}, which is not in the cache "
        f"({constants.HF_HUB_CACHE}), and the hub cannot be reached: {reason}. Where there is "
        f"network, run `hf download {repo.name} {files}{revision}` (older: `huggingface-cli "
        "download`); if that is another machine, copy its cache here and let HF_HOME name it. "
        "With HF_HUB_OFFLINE=1 nothing is ever asked of the network."
    )
