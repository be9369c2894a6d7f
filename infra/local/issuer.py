"""Who signs tokens on this machine, in the place of Supabase Auth: a key of its own, published beside the local AWS.

The tokens have the claims of Supabase Auth. The private key stays in the stack's folder, and goes with it.
"""

import base64
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

BUCKET, PATH = "gasrapido-issuer", "auth/v1"
ROLES = ("viewer", "operator", "admin", "restorer")


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """The issuer of one stack. `folder` keeps its key."""

    def __init__(self, folder, endpoint):
        self.file = folder / "issuer.pem"
        self.name = f"{endpoint}/{BUCKET}/{PATH}"

    def publish(self, s3, region):
        """Makes a key, and puts its public half where the functions look for it."""
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.file.write_bytes(key.private_bytes(*form))
        self.file.chmod(0o600)
        numbers = key.public_key().public_numbers()
        point = {"x": encoded(numbers.x.to_bytes(32, "big")), "y": encoded(numbers.y.to_bytes(32, "big"))}
        keys = {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "local", **point}]}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_object(Bucket=BUCKET, Key=f"{PATH}/.well-known/jwks.json", Body=json.dumps(keys).encode(), ContentType="application/json")

    def token(self, who, roles, second_factor=False, seconds=3600):
        """A token of somebody who signed in."""
        now = int(time.time())
        claims = {
            "iss": self.name, "aud": "authenticated", "sub": who, "iat": now, "exp": now + seconds, "role": "authenticated",
            "email": f"{who}@gasrapido.example", "aal": "aal2" if second_factor else "aal1", "is_anonymous": False,
            "app_metadata": {"provider": "email", "backup_roles": list(roles)}, "user_metadata": {},
        }
        header = {"alg": "ES256", "typ": "JWT", "kid": "local"}
        message = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        key = serialization.load_pem_private_key(self.file.read_bytes(), None)
        r, s = decode_dss_signature(key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{message}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
