//! Which file a path is, how it is sent, and which ones never are.

use std::path::Path;
use std::process::Command;

use mosca::{Interface, Server, StartError};

use super::browser::request;
use super::{Browser, Response, SCRIPT, folder, get, interface, start, write};

const TEXT: &str = "text/plain; charset=utf-8";

async fn ask(server: &Server, path: &str) -> Response {
    Browser::ask_once(server, &get(path, &[])).await
}

#[tokio::test]
async fn files_are_served_with_their_type_and_may_be_kept() {
    let folder = folder(&[
        ("index.html", "<p>start"),
        ("app.js", "app"),
        ("style.css", "css"),
        ("data.json", "{}"),
        ("photo.png", "png"),
        ("what-is.this-one", "?"),
        ("empty.txt", ""),
        ("with space é.txt", "space"),
        ("deep/er/index.html", "<p>deep"),
        ("deep/page.html", "<p>page"),
    ]);
    let server = start(interface().static_folder(folder.path())).await;
    assert!(server.urls()[0].starts_with("http://127.0.0.1:"));
    for (path, content, kind) in [
        ("/", "<p>start", "text/html; charset=utf-8"),
        ("/index.html", "<p>start", "text/html; charset=utf-8"),
        ("/?token=secret", "<p>start", "text/html; charset=utf-8"),
        ("/app.js", "app", "text/javascript; charset=utf-8"),
        ("/style.css", "css", "text/css; charset=utf-8"),
        ("/data.json", "{}", "application/json"),
        ("/photo.png", "png", "image/png"),
        ("/what-is.this-one", "?", "application/octet-stream"),
        ("/empty.txt", "", TEXT),
        ("/with%20space%20%C3%A9.txt", "space", TEXT),
        ("/%61pp.js", "app", "text/javascript; charset=utf-8"),
        ("/deep/er/", "<p>deep", "text/html; charset=utf-8"),
        ("/deep%2Fpage.html", "<p>page", "text/html; charset=utf-8"),
    ] {
        let response = ask(&server, path).await;
        assert_eq!((response.status, response.text()), (200, content), "{path}");
        assert_eq!(response.header("content-type"), Some(kind), "{path}");
        let cached = response.header("cache-control");
        assert_eq!(cached, Some("public, max-age=600"), "{path}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        for header in ["etag", "last-modified", "date", "content-length"] {
            assert!(response.header(header).is_some(), "{path} has no {header}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let folder = folder(&[("page.html", "page"), ("sub/other.html", "other")]);
    let server = start(interface().static_folder(folder.path())).await;
    let long = format!("/{}", "a".repeat(1_000));
    let deep = format!("/{}", "a/".repeat(2_000));
    for path in [
        "/",
        "/nothing",
        "/mqtt.js",
        "/page.html/",
        "/page.html/more",
        "/PAGE.html",
        "/sub/",
        "/sub/nothing.html",
        "//page.html",
        "//sub",
        &long,
        &deep,
    ] {
        let response = ask(&server, path).await;
        let found = (response.status, response.text());
        assert_eq!(found, (404, "Not Found\n"), "{path}");
        assert_eq!(response.header("content-type"), Some(TEXT));
        assert_eq!(response.header("cache-control"), None);
    }
}

/// Links within a page are about the folder, so its path has to end with a slash.
#[tokio::test]
async fn a_folder_without_its_slash_is_somewhere_else() {
    let folder = folder(&[("sub/index.html", "sub")]);
    let server = start(interface().static_folder(folder.path())).await;
    let response = ask(&server, "/sub?a=b").await;
    assert_eq!(response.status, 307);
    assert_eq!(response.header("location"), Some("/sub/?a=b"));
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let outside = folder(&[("secret.txt", "secret"), ("public/page.html", "page")]);
    let public = outside.path().join("public");
    write(&public.join("deep/page.html"), "page");
    let server = start(interface().static_folder(&public)).await;
    let absolute = outside.path().join("secret.txt");
    let absolute = absolute.to_str().unwrap();
    for path in [
        "/../secret.txt",
        "/deep/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%2Fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/deep%2f..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/%2e%2e%5csecret.txt",
        "/..\\secret.txt",
        "/%252e%252e/secret.txt",
        "/..;/secret.txt",
        "/..%00/secret.txt",
        "/page.html%00.txt",
        "/%00",
        "/%c0%ae%c0%ae/secret.txt",
        "/%ff",
        "/deep/page.html%00",
        "/%2F..%2Fsecret.txt",
        "/./../secret.txt",
        "/....//secret.txt",
        absolute,
        &format!("/{absolute}"),
        &format!("/{}", absolute.replace('/', "%2F")),
        "/C:/secret.txt",
        "/file:///etc/passwd",
    ] {
        let response = ask(&server, path).await;
        // Not even a request, or nothing that is there.
        assert!(matches!(response.status, 400 | 404), "{path}: {response:?}");
        assert!(!response.text().contains("secret"), "{path}");
    }
    let response = ask(&server, "/page.html").await;
    assert_eq!(response.status, 200);
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_within_the_folder_and_nowhere_else() {
    use std::os::unix::fs::symlink;

    let outside = folder(&[("secret.txt", "secret"), ("public/page.html", "page")]);
    let public = outside.path().join("public");
    write(&public.join(".hidden"), "secret");
    for (to, from) in [
        ("../secret.txt", "relative.txt"),
        ("..", "parent"),
        ("/etc", "absolute"),
        (".hidden", "to-hidden"),
        ("loop", "loop"),
        ("nowhere", "dangling"),
        ("page.html", "inside.html"),
        (".", "itself"),
    ] {
        symlink(to, public.join(from)).unwrap();
    }
    let link = outside.path().join("current");
    symlink("public", &link).unwrap();
    let server = start(interface().static_folder(&link)).await;
    for path in [
        "/relative.txt",
        "/parent/secret.txt",
        "/parent/",
        "/absolute/hostname",
        "/absolute/passwd",
        "/to-hidden",
        "/dangling",
    ] {
        let response = ask(&server, path).await;
        assert_eq!(response.status, 404, "{path}: {response:?}");
    }
    assert_eq!(ask(&server, "/loop").await.status, 500);
    for path in [
        "/inside.html",
        "/itself/page.html",
        "/parent/public/page.html",
    ] {
        let response = ask(&server, path).await;
        assert_eq!((response.status, response.text()), (200, "page"), "{path}");
    }
    // What the folder's own path leads to may be another one from now on.
    write(&outside.path().join("next/page.html"), "next");
    std::fs::remove_file(&link).unwrap();
    symlink("next", &link).unwrap();
    assert_eq!(ask(&server, "/page.html").await.text(), "next");
}

#[tokio::test]
async fn hidden_files_are_not_there() {
    let folder = folder(&[
        (".htpasswd", "secret"),
        (".git/config", "secret"),
        ("sub/.env", "secret"),
        ("sub/.hidden/page.html", "secret"),
        ("visible.d/page.html", "page"),
        (".well-known/security.txt", "secret"),
    ]);
    let server = start(interface().static_folder(folder.path())).await;
    for path in [
        "/.htpasswd",
        "/%2ehtpasswd",
        "/.git/config",
        "/.git/",
        "/.git",
        "/sub/.env",
        "/sub%2f.env",
        "/sub/.hidden/page.html",
        "/.well-known/security.txt",
    ] {
        assert_eq!(ask(&server, path).await.status, 404, "{path}");
    }
    assert_eq!(ask(&server, "/visible.d/page.html").await.status, 200);
}

/// To open a pipe is to wait until somebody writes into it.
#[cfg(unix)]
#[tokio::test]
async fn what_is_no_regular_file_is_not_opened() {
    let folder = folder(&[]);
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let server = start(interface().static_folder(folder.path())).await;
    assert_eq!(ask(&server, "/pipe").await.status, 404);
}

#[tokio::test]
async fn head_is_get_without_what_it_carries_and_other_methods_are_not_allowed() {
    let folder = folder(&[("page.html", "page")]);
    let interface = interface().static_folder(folder.path()).bundle(SCRIPT);
    let server = start(interface).await;
    let mut browser = Browser::open(&server).await;
    for path in ["/page.html", "/mqtt.js", "/nothing"] {
        let got = browser.ask(&get(path, &[])).await;
        let head = browser.ask(&request("HEAD", path, &[])).await;
        assert_eq!(head.status, got.status, "{path}");
        for header in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(head.header(header), got.header(header), "{path}: {header}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"] {
            let refused = browser.ask(&request(method, path, &[])).await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        }
    }
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let folder = folder(&[("page.html", "page")]);
    let interface = interface().static_folder(folder.path()).bundle(SCRIPT);
    let server = start(interface).await;
    let mut browser = Browser::open(&server).await;
    for path in ["/page.html", "/mqtt.js"] {
        let got = browser.ask(&get(path, &[])).await;
        let tag = got.header("etag").unwrap();
        for (known, status) in [
            (tag.to_owned(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.replace('"', ""), 200),
            (String::new(), 200),
        ] {
            let header = format!("If-None-Match: {known}");
            let response = browser.ask(&get(path, &[&header])).await;
            assert_eq!(response.status, status, "{path}: {known}");
            assert_eq!(response.header("etag"), Some(tag), "{path}: {known}");
            let cached = response.header("cache-control");
            assert_eq!(cached, Some("public, max-age=600"), "{path}: {known}");
        }
    }
    let got = browser.ask(&get("/page.html", &[])).await;
    let since = got.header("last-modified").unwrap();
    let header = format!("If-Modified-Since: {since}");
    let response = browser.ask(&get("/page.html", &[&header])).await;
    assert_eq!(response.status, 304);
    // Of the same length, and within the same second.
    let tag = format!("If-None-Match: {}", got.header("etag").unwrap());
    write(&folder.path().join("new"), "next");
    std::fs::rename(folder.path().join("new"), folder.path().join("page.html")).unwrap();
    let response = browser.ask(&get("/page.html", &[&tag])).await;
    assert_eq!((response.status, response.text()), (200, "next"));
}

#[tokio::test]
async fn a_part_of_a_file_is_sent_to_who_asks_for_it() {
    let folder = folder(&[("page.html", "0123456789")]);
    let server = start(interface().static_folder(folder.path())).await;
    for (range, status, content) in [
        ("bytes=2-4", 206, "234"),
        ("bytes=7-", 206, "789"),
        ("bytes=-2", 206, "89"),
        ("bytes=10-", 416, ""),
        ("bytes=0-1,4-5", 200, "0123456789"),
    ] {
        let header = format!("Range: {range}");
        let response = Browser::ask_once(&server, &get("/page.html", &[&header])).await;
        let got = (response.status, response.text());
        assert_eq!(got, (status, content), "{range}");
    }
}

#[tokio::test]
async fn the_bundle_comes_before_the_folder() {
    let folder = folder(&[("mqtt.js", "mine"), ("page.html", "page")]);
    let both = start(interface().static_folder(folder.path()).bundle(SCRIPT)).await;
    let alone = start(interface().bundle(SCRIPT)).await;
    let without = start(interface().static_folder(folder.path())).await;
    for server in [&both, &alone] {
        let response = ask(server, "/mqtt.js").await;
        assert_eq!((response.status, response.text()), (200, SCRIPT));
        let kind = response.header("content-type");
        assert_eq!(kind, Some("text/javascript; charset=utf-8"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(ask(&without, "/mqtt.js").await.text(), "mine");
    assert_eq!(ask(&both, "/page.html").await.text(), "page");
    assert_eq!(ask(&alone, "/page.html").await.status, 404);
    assert_eq!(ask(&alone, "/").await.status, 404);
    // Another script is another version.
    let other = start(interface().bundle("another script")).await;
    let tags = [&alone, &other].map(async |server| {
        let response = ask(server, "/mqtt.js").await;
        response.header("etag").unwrap().to_owned()
    });
    let [first, second] = tags;
    assert_ne!(first.await, second.await);
}

#[tokio::test]
async fn without_files_there_are_none() {
    let server = start(interface()).await;
    for path in ["/", "/mqtt.js", "/index.html"] {
        for method in ["GET", "POST"] {
            let response = Browser::ask_once(&server, &request(method, path, &[])).await;
            let found = (response.status, response.text());
            assert_eq!(found, (404, "Not Found\n"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_none_is_an_error_from_the_start() {
    let folder = folder(&[("file", "")]);
    for (path, reason) in [("missing", "No such file"), ("file", "not a directory")] {
        let path = folder.path().join(path);
        let interface = Interface::http("127.0.0.1:0").static_folder(&path);
        let error = Server::builder().listen(interface).start().await;
        let error = error.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(matches!(error, StartError::Folder { .. }), "{error:?}");
    }
    // Relative to the working folder, which for tests is that of the crate.
    let server = start(Interface::http("127.0.0.1:0").static_folder(Path::new("src"))).await;
    assert_eq!(ask(&server, "/lib.rs").await.status, 200);
}
