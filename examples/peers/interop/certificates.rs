//! Certificates for TLS on 127.0.0.1, made when they are needed.

use std::error::Error;
use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use wse::tls::ServerTls;

/// Writes an authority's `ca.pem`, and `server.pem` and `server.key` of its making.
pub fn make(directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut authority = CertificateParams::new([])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "wse interop authority");
    let key = KeyPair::generate()?;
    fs::write(directory.join("ca.pem"), authority.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(authority, key);

    let server = CertificateParams::new(["127.0.0.1".to_owned()])?;
    let key = KeyPair::generate()?;
    fs::write(directory.join("server.pem"), server.signed_by(&key, &issuer)?.pem())?;
    fs::write(directory.join("server.key"), key.serialize_pem())?;
    Ok(())
}

/// What [`make`] wrote for a server.
pub fn read(directory: &Path) -> Result<ServerTls, Box<dyn Error>> {
    let chain = fs::read(directory.join("server.pem"))?;
    Ok(ServerTls::from_pem(chain, fs::read(directory.join("server.key"))?)?)
}
