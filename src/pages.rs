//! The pages of the repository, as doc tests: their code compiles, and what can run runs.

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        $(
            #[doc = include_str!(concat!("../", $path))]
            struct $name;
        )*
    };
}

pages! {
    Readme: "README.md",
    Clients: "docs/clients.md",
    CustomProtocol: "docs/custom-protocol.md",
    Handlers: "docs/handlers.md",
    HttpServers: "docs/http-servers.md",
    Limits: "docs/limits.md",
    Payloads: "docs/payloads.md",
    Proxies: "docs/proxies.md",
    Resume: "docs/resume.md",
    Rooms: "docs/rooms.md",
    Transport: "docs/transport.md",
    Wire: "docs/wire.md",
}
