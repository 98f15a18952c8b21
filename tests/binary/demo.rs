//! `mynah demo`, as somebody meets it who has just heard of mynah.

use crate::server::Server;
use crate::wait::{LONG, until};
use crate::world::World;

/// The page once it says `text`.
async fn shown(server: &Server, text: &str) -> String {
    until(&format!("the phone shows {text:?}"), LONG, || async {
        server.get("/").await.filter(|(_, page)| page.contains(text)).map(|(_, page)| page)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_needs_nothing_and_its_phone_answers() {
    let world = World::new().await;
    let folder = world.settings.folder.to_str().unwrap();
    let bare = world.settings.clone().bare().with("TMPDIR", folder);
    let mut server = Server::launch_as(&bare, &["demo", "--listen", &format!("127.0.0.1:{}", bare.port)]);
    server.ready().await;
    assert!(server.out().contains(&format!("    {}", server.url("/"))), "{}", server.out());
    assert!(server.get("/").await.unwrap().1.contains("Blue Door Bakery"));
    assert_eq!(server.submit("/send", &[("text", "How do I order a birthday cake?")]).await, (303, "/".to_owned()));
    let page = shown(&server, "We confirm within a day").await;
    assert!(page.contains("How do I order a birthday cake?"), "{page}");
    server.signal("INT");
    assert_eq!(server.wait().await.code(), Some(0), "{}", server.log());
    assert_eq!(std::fs::read_dir(&bare.folder).unwrap().count(), 0, "nothing is kept");
}
