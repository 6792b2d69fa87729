"""Certificates made with the openssl command, for receivers that speak TLS."""

import ssl
import subprocess
import time


class Certificate:
    """
    `names` are those of a subjectAltName ("IP:127.0.0.1"); without any it is an authority. `days`: from now, of both ends.
    """

    made = 0

    def __init__(self, folder, issuer=None, names="IP:127.0.0.1", days=(-1, 30), digest="sha256", authority=False, chain=()):
        Certificate.made += 1
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"test {Certificate.made}"
        self.key = folder / f"{Certificate.made}.key"
        self.file = folder / f"{Certificate.made}.pem"
        self.full = folder / f"{Certificate.made}.full.pem"
        self._make(folder, issuer, None if authority else names, days, digest)
        self.full.write_text("".join(each.text for each in (self, *chain)))

    def _make(self, folder, issuer, names, days, digest):
        config = folder / f"{Certificate.made}.cnf"
        extensions = f"basicConstraints = CA:FALSE\nsubjectAltName = {names}\n" if names else "basicConstraints = critical,CA:TRUE\n"
        config.write_text(
            f"[req]\ndistinguished_name = dn\n[dn]\n[ca]\ndefault_ca = own\n[own]\nnew_certs_dir = {folder}\ndatabase = {folder}/index\n"
            f"rand_serial = yes\npolicy = any\ndefault_md = {digest}\nx509_extensions = e\nunique_subject = no\n[any]\ncommonName = supplied\n"
            f"[e]\n{extensions}"
        )
        (folder / "index").touch()
        request = folder / f"{Certificate.made}.csr"
        run("req", "-new", "-config", config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={self.name}",
            "-keyout", self.key, "-out", request)  # fmt: skip
        signer = ["-cert", issuer.file, "-keyfile", issuer.key] if issuer else ["-selfsign", "-keyfile", self.key]
        run("ca", "-batch", "-notext", "-config", config, "-in", request, "-out", self.file, "-startdate", moment(days[0]), "-enddate", moment(days[1]),
            *signer)  # fmt: skip

    @property
    def text(self):
        return self.file.read_text()

    def context(self, protocols=("http/1.1",)):
        """A server's, that takes whatever the test wants it to have."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(self.full, self.key)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def moment(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


def run(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
