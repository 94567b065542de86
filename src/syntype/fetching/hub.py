"""The files of a repository of the Hugging Face hub, at one commit.

huggingface_hub says what there is and who may have it (token from HF_TOKEN or `hf auth login`,
mirrors from HF_ENDPOINT); the files come by `syntype.fetching.fetch`, which resumes and checks
them: large files by the SHA-256 that the hub publishes, small ones by their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from syntype.errors import DataNotFoundError, ResourceError, UsageError
from syntype.fetching.wanted import Wanted


@dataclass(frozen=True)
class Repository:
    """What a repository holds.

    Attributes:
        name: organisation/name.
        revision: The commit, whatever branch or tag was asked for.
        license: As its card states it; "" where it does not.
        files: All of its files.
    """

    name: str
    revision: str
    license: str
    files: Sequence[Wanted]

    def only(self, patterns: Sequence[str]) -> Sequence[Wanted]:
        """The files whose paths match one of some patterns (`*` matches anything, `/` too).

        Raises:
            UsageError: A pattern matches none.
        """
        for pattern in patterns:
            if not any(fnmatchcase(one.path, pattern) for one in self.files):
                raise UsageError(
                    f"No file of {self.name} matches {pattern!r}. It has, for example, "
                    f"{', '.join(one.path for one in self.files[:5])}."
                )
        return [
            one for one in self.files if any(fnmatchcase(one.path, pattern) for pattern in patterns)
        ]


def repository(name: str, revision: str = "", kind: str = "dataset") -> Repository:
    """Ask the hub what a repository holds.

    Args:
        name: organisation/name.
        revision: A branch, a tag or a commit; "" for the newest.
        kind: dataset or model.

    Raises:
        DataNotFoundError: There is no such repository or revision, or it may not be seen.
        ResourceError: The hub cannot be reached.
    """
    import httpx2
    from huggingface_hub import HfApi, errors, hf_hub_url
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.utils._headers import build_hf_headers

    api = HfApi()
    try:
        info = api.repo_info(name, repo_type=kind, revision=revision or None)
        commit = str(info.sha)
        entries = list(api.list_repo_tree(name, recursive=True, revision=commit, repo_type=kind))
    except errors.GatedRepoError as error:
        raise DataNotFoundError(
            f"{name} is given to those who accept its terms. Accept them on its page of the hub, "
            "then `hf auth login` (or set HF_TOKEN), and run the same command again."
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise DataNotFoundError(
            f"The hub has no {kind} {name}{f' at {revision}' if revision else ''} that you may "
            "see. Check the name; a private one needs `hf auth login` or HF_TOKEN."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ResourceError(
            f"The hub may not be asked about {name}: HF_HUB_OFFLINE is set. Unset it here, or run "
            "this where there is a network."
        ) from error
    except (errors.HfHubHTTPError, httpx2.TransportError, OSError) as error:
        raise ResourceError(
            f"The hub cannot be asked about {name} ({type(error).__name__}). Check the network; "
            "behind a mirror set HF_ENDPOINT. The same command goes on."
        ) from error
    headers = {
        key: value for key, value in build_hf_headers().items() if key.lower() == "authorization"
    }
    files = [
        Wanted(
            url=hf_hub_url(name, entry.path, repo_type=kind, revision=commit),
            path=entry.path,
            size=entry.size,
            digest=f"sha256:{entry.lfs.sha256}" if entry.lfs else "",
            headers=headers,
        )
        for entry in entries
        if isinstance(entry, RepoFile)
    ]
    card = getattr(info, "card_data", None)
    terms = card.get("license", "") if card is not None else ""
    return Repository(name, commit, str(terms or ""), files)
