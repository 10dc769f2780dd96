//! A call whose result type is not named.

use wse::{CallError, Client, JsonArray};

async fn add(client: &Client<JsonArray>) -> Result<(), CallError> {
    let sum = client.call("add", &(1, 2)).await?;
    Ok(())
}

fn main() {
    let _ = add;
}
