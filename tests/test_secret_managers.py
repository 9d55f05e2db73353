"""Are secrets fetched through the vendors' real clients, and is each refusal told apart without a secret in it?

AWS: boto3 against moto's server. Google and Azure: their own clients over HTTP against a small stand-in that speaks
the two calls of their REST interfaces that are used. All of it is on loopback.
"""

import base64
import http.client
import json
import logging
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
from azure.core.credentials import AccessToken
from azure.keyvault.secrets import SecretClient
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager import SecretManagerServiceClient
from moto.server import ThreadedMotoServer

from course_lib.secret_managers import AwsParameter, AwsSecret, AzureSecret, GcpSecret
from course_lib.settings import DatabaseSettings, SettingsError

RDS = {"engine": "postgres", "username": "app", "password": "ex@mple/1", "host": "h", "port": 5432, "dbname": "shop"}
PASSWORD = "example-S3cret"

Answer = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]


@contextmanager
def http_server(answer: Answer, certificate: trustme.LeafCert | None = None) -> Iterator[int]:
    """A server on loopback that answers each request with what `answer` gives; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, content = answer(self, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- AWS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The address of moto's server."""
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


def client(service: str, address: str, **keys: Any) -> Any:
    return boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=address,
        config=Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=10),
        **{"aws_access_key_id": "example", "aws_secret_access_key": "example", **keys},
    )


def no_secret_in(error: SettingsError) -> str:
    assert PASSWORD not in repr(error) + str(error)
    assert error.__context__ is None
    return str(error)


def test_a_json_secret_gives_the_whole_url(aws: str) -> None:
    manager = client("secretsmanager", aws)
    manager.create_secret(Name="shop/json", SecretString=json.dumps(RDS))
    url = DatabaseSettings(env_file=None, secret=AwsSecret("shop/json", manager)).url
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://app:ex%40mple%2F1@h:5432/shop"


def test_a_plain_secret_is_the_password_and_rotates(aws: str) -> None:
    manager = client("secretsmanager", aws)
    manager.create_secret(Name="shop/plain", SecretString="example-1")
    read = AwsSecret("shop/plain", manager)
    seen = [read()]
    manager.put_secret_value(SecretId="shop/plain", SecretString="example-2")
    seen.append(DatabaseSettings(env_file=None, database_url="postgresql://u@h/d", secret=read).url.password or "")
    assert seen == ["example-1", "example-2"]


def test_a_parameter_is_decrypted(aws: str) -> None:
    store = client("ssm", aws)
    store.put_parameter(Name="/shop/url", Value="postgresql://app:example-pw@h/d", Type="SecureString")
    assert DatabaseSettings(env_file=None, secret=AwsParameter("/shop/url", store)).url.password == "example-pw"
    with pytest.raises(SettingsError, match="/shop/none does not exist"):
        AwsParameter("/shop/none", store)()


@pytest.mark.parametrize(
    ("stored", "match"),
    [
        ({"SecretString": f'{{"password": "{PASSWORD}"'}, "no valid JSON object"),
        ({"SecretString": f'{{"pass": "{PASSWORD}"}}'}, "without any known name"),
        ({"SecretBinary": PASSWORD.encode()}, "holds no text"),
    ],
)
def test_a_malformed_secret(aws: str, stored: dict[str, Any], match: str, request: pytest.FixtureRequest) -> None:
    manager = client("secretsmanager", aws)
    name = f"malformed/{abs(hash(request.node.name))}"
    manager.create_secret(Name=name, **stored)
    with pytest.raises(SettingsError, match=match) as caught:
        DatabaseSettings(env_file=None, secret=AwsSecret(name, manager))
    no_secret_in(caught.value)


def test_a_missing_secret(aws: str) -> None:
    with pytest.raises(SettingsError, match=r"shop/none does not exist\. Check its name, the account and the region"):
        AwsSecret("shop/none", client("secretsmanager", aws))()


def test_a_role_without_the_right_is_denied_and_with_it_served(aws: str) -> None:
    """IAM is moto's own: a user without a policy, then with one that allows the secret."""

    def enforce(after_so_many_calls: str) -> None:
        address, plain = f"{aws}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, after_so_many_calls.encode(), plain)).close()

    client("secretsmanager", aws).create_secret(Name="shop/guarded", SecretString=PASSWORD)
    iam = client("iam", aws)
    iam.create_user(UserName="app")
    key = iam.create_access_key(UserName="app")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    read = AwsSecret("shop/guarded", client("secretsmanager", aws, **keys))
    allowed = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    try:
        enforce("0")
        with pytest.raises(SettingsError, match=r"may not be read by this role\. Allow it") as caught:
            read()
        no_secret_in(caught.value)
        enforce("1")  # the next call, which gives the right, is not checked
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="app", PolicyName="read", PolicyDocument=document)
        assert read() == PASSWORD
    finally:
        enforce("1000000")


def test_denied_in_the_words_of_aws() -> None:
    def denies(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        content = json.dumps({"__type": "AccessDeniedException", "Message": f"about {PASSWORD}"}).encode()
        return 400, {"Content-Type": "application/x-amz-json-1.1"}, content

    with http_server(denies) as port:
        with pytest.raises(SettingsError, match="may not be read by this role") as caught:
            AwsSecret("shop/denied", client("secretsmanager", f"http://127.0.0.1:{port}"))()
        no_secret_in(caught.value)


def test_throttled_calls_are_repeated(aws: str) -> None:
    """A gateway in front of moto answers as AWS does when it throttles, and then lets the call through."""
    client("secretsmanager", aws).create_secret(Name="shop/busy", SecretString="example-busy")
    refusals = [2]
    calls: list[int] = []

    def gateway(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        calls.append(1)
        if refusals[0]:
            refusals[0] -= 1
            content = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
            return 400, {"Content-Type": "application/x-amz-json-1.1"}, content
        onward = http.client.HTTPConnection(aws.removeprefix("http://"), timeout=10)
        onward.request(request.command, request.path, body, dict(request.headers))
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        return answer.status, {"Content-Type": answer.headers["Content-Type"]}, content

    with http_server(gateway) as port:
        read = AwsSecret("shop/busy", client("secretsmanager", f"http://127.0.0.1:{port}"))
        assert read() == "example-busy"
        assert len(calls) == 3
        refusals[0] = 99
        calls.clear()
        with pytest.raises(SettingsError, match=r"AWS says ThrottlingException\. Try again later"):
            read()
        assert len(calls) == 5


def test_no_one_answers_and_the_default_client(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client("secretsmanager", aws).create_secret(Name="shop/default", SecretString="example-default")
    for name, value in {"ACCESS_KEY_ID": "example", "SECRET_ACCESS_KEY": "example", "REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv(f"AWS_DEFAULT_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    assert AwsSecret("shop/default")() == "example-default"
    with http_server(lambda request, body: (500, {}, b"")) as port:
        closed = f"http://127.0.0.1:{port}"
    quick = Config(retries={"total_max_attempts": 1})
    unreachable = boto3.client(
        "secretsmanager",
        region_name="eu-west-1",
        endpoint_url=closed,
        config=quick,
        aws_access_key_id="example",
        aws_secret_access_key="example",
    )
    with pytest.raises(SettingsError, match="could not be asked for: EndpointConnectionError"):
        AwsSecret("shop/default", unreachable)()


# --- Google Cloud ------------------------------------------------------------------------------------------------


def test_google_secrets() -> None:
    versions = {"db": json.dumps(RDS).encode(), "binary": b"\xff" + PASSWORD.encode()}

    def manager(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        name = request.path.partition("?")[0].removeprefix("/v1/projects/shop/secrets/")
        name = name.removesuffix("/versions/latest:access")
        if name in versions:
            answer = {"name": request.path, "payload": {"data": base64.b64encode(versions[name]).decode()}}
            return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        code, status = (403, "PERMISSION_DENIED") if name == "denied" else (404, "NOT_FOUND")
        error = {"error": {"code": code, "status": status, "message": f"about {PASSWORD}"}}
        return code, {"Content-Type": "application/json"}, json.dumps(error).encode()

    with http_server(manager) as port:
        google = SecretManagerServiceClient(
            transport="rest",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{port}"},
        )

        def secret(name: str) -> GcpSecret:
            return GcpSecret(f"projects/shop/secrets/{name}/versions/latest", google)

        assert DatabaseSettings(env_file=None, secret=secret("db")).url.password == "ex@mple/1"
        for name, match in (
            ("none", "does not exist"),
            ("denied", "may not be read by this role"),
            ("binary", "is not text in UTF-8"),
        ):
            with pytest.raises(SettingsError, match=match) as caught:
                secret(name)()
            no_secret_in(caught.value)


# --- Azure -------------------------------------------------------------------------------------------------------


class FixedToken:
    """A credential as azure-identity's are, without the sign-in."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("example-token", int(time.time()) + 3600)


def test_azure_secrets(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def vault(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") != "Bearer example-token":
            realm = 'Bearer authorization="https://127.0.0.1/tenant", resource="https://vault.azure.net"'
            return 401, {"WWW-Authenticate": realm}, b""
        name = request.path.split("/")[2]
        if name == "db":
            answer = {"value": json.dumps(RDS), "id": f"https://127.0.0.1/secrets/{name}/1", "attributes": {}}
            return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        code, status = (403, "Forbidden") if name == "denied" else (404, "SecretNotFound")
        error = {"error": {"code": status, "message": f"about {PASSWORD}"}}
        return code, {"Content-Type": "application/json"}, json.dumps(error).encode()

    with http_server(vault, authority.issue_cert("127.0.0.1")) as port:
        address = f"https://127.0.0.1:{port}"
        azure = SecretClient(
            address, FixedToken(), verify_challenge_resource=False, connection_verify=str(tmp_path / "ca.pem")
        )
        assert DatabaseSettings(env_file=None, secret=AzureSecret(address, "db", azure)).url.password == "ex@mple/1"
        for name, match in (("none", "does not exist"), ("denied", "may not be read by this role")):
            with pytest.raises(SettingsError, match=match) as caught:
                AzureSecret(address, name, azure)()
            no_secret_in(caught.value)


def test_importing_loads_no_client_library() -> None:
    """Who uses none of the clouds does not wait for their libraries."""
    modules = "course_lib.settings, course_lib.secret_managers, course_lib.rotation, course_lib.exercises.credentials"
    code = f"import sys, {modules}; print(sorted({{'boto3', 'moto', 'azure.core', 'google.cloud'}} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_no_repr_holds_a_client() -> None:
    """A client knows keys: the repr of what fetches a secret shows names only."""
    shown = [AwsSecret("n", "CLIENT"), AwsParameter("n", "CLIENT"), GcpSecret("n", "CLIENT")]
    shown.append(AzureSecret("https://v.example", "n", "CLIENT"))
    assert all("CLIENT" not in repr(each) for each in shown)
