"""Secrets from AWS, Google Cloud and Azure, through the vendors' own client libraries.

Each class is a function without arguments that fetches the newest version of one secret as text. They block, so give
them to `DatabaseSettings` at start-up, or to `follow_rotation`, which calls them in a thread. The clients find
credentials and region on their own, as their manuals say; a test passes a client of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from course_lib._secret_sources import SettingsError

__all__ = ["AwsParameter", "AwsSecret", "AzureSecret", "GcpSecret"]

_INSTALL = "It is not installed: pip install 'async-database-course[clouds]'."
_MISSING, _DENIED = "does not exist", "may not be read by this role"
# What to do about the reasons that have a name of their own in every cloud.
_ADVICE = {
    _MISSING: "Check its name, the account and the region.",
    _DENIED: "Allow it for this secret alone.",
}


@dataclass(frozen=True)
class AwsSecret:
    """A secret in AWS Secrets Manager.

    Throttled and failed calls are repeated by botocore, five attempts in all with growing pauses.
    https://docs.aws.amazon.com/boto3/latest/guide/retries.html

    Args:
        name: the secret's name or ARN.
        client: a boto3 client for `secretsmanager`; made at the first call by default.
    """

    name: str
    client: Any = field(default=None, repr=False)

    def __call__(self) -> str:
        """Fetch the text. Raises SettingsError, which holds no secret."""
        answer = _ask_aws(self.client, "secretsmanager", "get_secret_value", self.name, SecretId=self.name)
        return _text(answer.get("SecretString"), self.name)


@dataclass(frozen=True)
class AwsParameter:
    """A parameter in AWS Systems Manager's Parameter Store, decrypted.

    Args:
        name: the parameter's name, such as `/shop/database`.
        client: a boto3 client for `ssm`; made at the first call by default.
    """

    name: str
    client: Any = field(default=None, repr=False)

    def __call__(self) -> str:
        """Fetch the text. Raises SettingsError, which holds no secret."""
        answer = _ask_aws(self.client, "ssm", "get_parameter", self.name, Name=self.name, WithDecryption=True)
        return _text(answer.get("Parameter", {}).get("Value"), self.name)


@dataclass(frozen=True)
class GcpSecret:
    """A version of a secret in Google Cloud's Secret Manager.

    Args:
        name: `projects/…/secrets/…/versions/latest`.
        client: a `SecretManagerServiceClient`; made at the first call by default.
    """

    name: str
    client: Any = field(default=None, repr=False)

    def __call__(self) -> str:
        """Fetch the text. Raises SettingsError, which holds no secret."""
        try:
            from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound
            from google.auth.exceptions import GoogleAuthError
            from google.cloud.secretmanager import SecretManagerServiceClient
        except ImportError:
            raise _refused(self.name, "needs google-cloud-secret-manager", _INSTALL) from None

        def fetch() -> str:
            client = self.client or SecretManagerServiceClient()
            return str(client.access_secret_version(name=self.name).payload.data.decode())

        reasons = ((NotFound, _MISSING), (Forbidden, _DENIED))
        return _fetched(fetch, self.name, reasons, (GoogleAPIError, GoogleAuthError))


@dataclass(frozen=True)
class AzureSecret:
    """A secret in an Azure Key Vault.

    Args:
        vault_url: `https://….vault.azure.net`.
        name: the secret's name.
        client: a `SecretClient`; made at the first call by default, with `DefaultAzureCredential`.
    """

    vault_url: str
    name: str
    client: Any = field(default=None, repr=False)

    def __call__(self) -> str:
        """Fetch the text. Raises SettingsError, which holds no secret."""
        try:
            from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
            from azure.identity import DefaultAzureCredential
            from azure.keyvault.secrets import SecretClient
        except ImportError:
            raise _refused(self.name, "needs azure-identity and azure-keyvault-secrets", _INSTALL) from None

        def fetch() -> str:
            client = self.client or SecretClient(self.vault_url, DefaultAzureCredential())
            try:
                return client.get_secret(self.name).value or ""
            except HttpResponseError as error:
                if error.status_code in (401, 403):
                    raise PermissionError from None
                raise

        reasons = ((ResourceNotFoundError, _MISSING), (PermissionError, _DENIED))
        return _fetched(fetch, self.name, reasons, (AzureError,))


def _ask_aws(client: Any, service: str, operation: str, name: str, **arguments: Any) -> Any:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    problem = ""
    try:
        if client is None:
            retries = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=10)
            client = boto3.client(service, config=retries)
        return getattr(client, operation)(**arguments)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in ("ResourceNotFoundException", "ParameterNotFound"):
            problem = _MISSING
        elif code.startswith("AccessDenied") or error.response["ResponseMetadata"].get("HTTPStatusCode") == 403:
            problem = _DENIED
        else:  # a code is a short name such as ThrottlingException; the message could hold anything
            problem = f"was not given: AWS says {code[:60]}"
    except BotoCoreError as error:
        problem = f"could not be asked for: {type(error).__name__}"
    raise _refused(name, problem)


def _fetched(
    fetch: Callable[[], str],
    name: str,
    reasons: tuple[tuple[type[Exception], str], ...],
    others: tuple[type[Exception], ...],
) -> str:
    """What `fetch` gives; its exceptions as a SettingsError without what the vendor's exception carries."""
    try:
        return _text(fetch(), name)
    except UnicodeDecodeError:
        problem = "is not text in UTF-8"
    except Exception as error:
        problem = next((reason for kind, reason in reasons if isinstance(error, kind)), "")
        if not problem and not isinstance(error, others):
            raise
        problem = problem or f"was not given: {type(error).__name__}"
    raise _refused(name, problem)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _refused(name, "holds no text", "Store text in it, not bytes.")
    return value


def _refused(name: str, problem: str, advice: str = "") -> SettingsError:
    return SettingsError(f"The secret {name} {problem}. {advice or _ADVICE.get(problem, 'Try again later.')}")
