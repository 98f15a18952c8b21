//! Settings that are stored in the database.

use crate::setup::test_app::TestApp;

#[tokio::test]
async fn a_stored_setting_is_read_from_the_database_also_beside_a_server() {
    let test_app = TestApp::new().await;
    let database = test_app.folder.path().join("mynah.db");
    assert!(mynah::store::stored_configuration(&test_app.folder.path().join("none.db")).unwrap().settings.is_empty());
    let now = test_app.app.clock.now();
    for value in ["false", "true"] {
        test_app.app.store.put_setting("MYNAH_TYPING", value.into(), now).await.unwrap();
        assert_eq!(mynah::store::stored_configuration(&database).unwrap().settings["MYNAH_TYPING"], value);
    }
    assert!(test_app.app.store.delete_setting("MYNAH_TYPING").await.unwrap());
    assert!(!test_app.app.store.delete_setting("MYNAH_TYPING").await.unwrap());
    assert!(mynah::store::stored_configuration(&database).unwrap().settings.is_empty());
}
