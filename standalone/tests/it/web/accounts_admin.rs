//! What admins do: look people up, change roles, give keys to services and revoke them.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, PASSWORD, Shopper, TestResult, eventually, make_event};

async fn audited(lab: &Lab, action: &str) -> Result<Vec<(Option<i64>, String, String)>, sqlx::Error> {
    sqlx::query_as("select user_id, object, result from audit_log where action = $1 order by id")
        .bind(action)
        .fetch_all(lab.store().pool())
        .await
}

#[tokio::test]
async fn an_admin_finds_people_and_changes_their_roles() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let nova = lab.account("nova").await?;
    lab.account("nora").await?;
    for q in ["nov", "NOVA", "nova@example.test", &nova.shopper.id.to_string()] {
        let (status, found) = admin.get(&format!("/api/admin/users?q={q}")).await?;
        assert_eq!(status, StatusCode::OK);
        let items = found["items"].as_array().ok_or("items")?;
        assert!(items.iter().any(|item| item["userId"] == json!(nova.shopper.id)), "{q}: {found}");
        assert!(items.iter().all(|item| item["email"] != "nora@example.test"), "{q}: {found}");
    }
    let (_, none) = admin.get("/api/admin/users?q=%25").await?;
    assert_eq!(none["items"], json!([]), "a sign of patterns is only a sign");
    let (_, first) = admin.get("/api/admin/users?limit=1").await?;
    let (_, second) = admin.get(&format!("/api/admin/users?limit=1&after={}", first["next"])).await?;
    assert_ne!(first["items"][0]["userId"], second["items"][0]["userId"]);

    let path = format!("/api/admin/users/{}", nova.shopper.id);
    assert_eq!(nova.shopper.get("/api/admin/queue/stats").await?.0, StatusCode::FORBIDDEN);
    assert_eq!(lab.basic("/api/admin/queue/stats", ("nova", PASSWORD)).await?.0, StatusCode::FORBIDDEN);
    let patch = |role: &str| admin.call(Method::PATCH, &path, Some(json!({"role": role})));
    assert_eq!(patch("operator").await?.0, StatusCode::NO_CONTENT);
    let (status, problem) = nova.shopper.get("/api/cart").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("token_expired")));
    let refresh = json!({"refreshToken": nova.refresh_token});
    let (status, session) = lab.send(Method::POST, "/api/auth/refresh", refresh).await?;
    assert_eq!(status, StatusCode::OK, "the log-in goes on, with the new role");
    let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
    let operator = Shopper { token, ..nova.shopper.clone() };
    assert_eq!(operator.get("/api/admin/queue/stats").await?.0, StatusCode::OK);
    assert_eq!(lab.basic("/api/admin/queue/stats", ("nova", PASSWORD)).await?.0, StatusCode::OK);
    assert_eq!(operator.get("/api/admin/users").await?.0, StatusCode::FORBIDDEN, "operators are no admins");
    let (_, operators) = admin.get("/api/admin/users?role=operator").await?;
    assert_eq!(operators["items"].as_array().map(Vec::len), Some(1));

    let own = format!("/api/admin/users/{}", admin.id);
    let (status, _) = admin.call(Method::PATCH, &own, Some(json!({"role": "shopper"}))).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) =
        admin.call(Method::PATCH, "/api/admin/users/999999", Some(json!({"role": "admin"}))).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = patch("emperor").await?;
    assert!(status.is_client_error());
    let lines = audited(&lab, "user.role").await?;
    let object = format!("user {}", nova.shopper.id);
    assert!(lines.contains(&(Some(admin.id.0), object, "done: shopper to operator".to_owned())), "{lines:?}");
    assert!(lines.iter().any(|line| line.2.starts_with("refused")), "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn a_service_acts_through_its_key_until_it_is_revoked() -> TestResult {
    let lab = Lab::start().await?;
    let second = lab.add(&[Part::Gateway]).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let (service, made) = lab.service(&admin, &["book", "users"]).await?;
    let job = service.book(event, json!({"quantity": 1})).await?;
    assert_eq!(service.outcome(&job).await?["status"], "completed");
    assert_eq!(service.at(&second.url).get("/api/cart").await?.0, StatusCode::OK);
    let by_header = lab.http.get(format!("{}/api/cart", lab.system.url)).header("x-api-key", &service.token);
    assert_eq!(by_header.send().await?.status(), StatusCode::OK);
    assert_eq!(service.get("/api/admin/queue/stats").await?.0, StatusCode::FORBIDDEN, "it has no such scope");
    assert_eq!(service.get("/api/account").await?.0, StatusCode::FORBIDDEN, "it is nobody");
    let kept: String =
        sqlx::query_scalar("select api_keys::text from api_keys").fetch_one(lab.store().pool()).await?;
    assert!(!kept.contains(&service.token), "only a hash is kept");
    let (_, list) = admin.get("/api/admin/api-keys").await?;
    assert_eq!(list["items"][0]["id"], made["id"]);
    assert!(list["items"][0]["key"].is_null() && list["items"][0]["lastUsedAt"].is_string(), "{list}");

    let path = format!("/api/admin/api-keys/{}", made["id"].as_str().ok_or("an id")?);
    assert_eq!(admin.call(Method::DELETE, &path, None).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(service.get("/api/cart").await?.0, StatusCode::UNAUTHORIZED, "at once where it was said");
    eventually("the other gateway hears of it", async || {
        let answer = service.at(&second.url).get("/api/cart").await;
        answer.is_ok_and(|(status, _)| status == StatusCode::UNAUTHORIZED)
    })
    .await;
    let object = format!("api key {}", made["id"].as_str().unwrap_or_default());
    for action in ["api_key.create", "api_key.revoke"] {
        assert_eq!(audited(&lab, action).await?, [(Some(admin.id.0), object.clone(), "done".to_owned())]);
    }
    Ok(())
}

#[tokio::test]
async fn a_key_permits_what_its_scopes_say_and_nothing_else() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let (reader, _) = lab.service(&admin, &["read"]).await?;
    assert_eq!(reader.get("/api/cart").await?.0, StatusCode::OK);
    let (status, problem) =
        reader.post(&format!("/api/bookings/{event}/book"), json!({"quantity": 1})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    let (operator, made) = lab.service(&admin, &["operate"]).await?;
    assert_eq!(operator.post("/api/admin/queue/pause", json!({})).await?.0, StatusCode::OK);
    assert_eq!(operator.get("/api/admin/users").await?.0, StatusCode::FORBIDDEN);
    let next =
        json!({"name": "next key", "scopes": ["admin"], "serviceId": made["serviceId"], "expiresInDays": 30});
    let (status, next) = admin.post("/api/admin/api-keys", next).await?;
    assert_eq!((status, &next["serviceId"]), (StatusCode::CREATED, &made["serviceId"]));
    assert!(next["expiresAt"].is_string(), "{next}");
    let all = Shopper { token: next["key"].as_str().ok_or("a key")?.to_owned(), ..operator };
    assert_eq!(all.get("/api/admin/users").await?.0, StatusCode::OK);
    sqlx::query("update api_keys set expires_at = clock_timestamp()").execute(lab.store().pool()).await?;
    let third = lab.add(&[Part::Gateway]).await?;
    assert_eq!(
        all.at(&third.url).get("/api/admin/users").await?.0,
        StatusCode::UNAUTHORIZED,
        "it has expired"
    );
    for (body, status) in [
        (json!({"name": "x", "scopes": []}), 422),
        (json!({"name": "", "scopes": ["read"]}), 422),
        (json!({"name": "x", "scopes": ["read"], "expiresInDays": 0}), 422),
        (json!({"name": "x", "scopes": ["read"], "serviceId": admin.id}), 404),
    ] {
        assert_eq!(admin.post("/api/admin/api-keys", body.clone()).await?.0.as_u16(), status, "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn an_admin_no_more_has_no_power_left_in_keys() -> TestResult {
    let lab = Lab::start().await?;
    let first = lab.with_role(Role::Admin).await?;
    for is_erased in [false, true] {
        let name = if is_erased { "erased" } else { "demoted" };
        let account = lab.account(name).await?;
        let path = format!("/api/admin/users/{}", account.shopper.id);
        let role = |role: &str| first.call(Method::PATCH, &path, Some(json!({"role": role})));
        assert_eq!(role("admin").await?.0, StatusCode::NO_CONTENT);
        let session = lab.log_in(name, PASSWORD).await?;
        let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
        let admin = Shopper { token, ..account.shopper.clone() };
        let (all, _) = lab.service(&admin, &["admin"]).await?;
        let (by_key, _) = lab.service(&all, &["operate"]).await?;
        let (booker, _) = lab.service(&admin, &["book"]).await?;
        let (others, _) = lab.service(&first, &["admin"]).await?;
        assert_eq!(all.get("/api/admin/users").await?.0, StatusCode::OK);
        assert_eq!(by_key.get("/api/admin/queue/stats").await?.0, StatusCode::OK);
        if is_erased {
            let body = json!({"password": PASSWORD});
            let (status, answer) = admin.call(Method::DELETE, "/api/account", Some(body)).await?;
            assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
        } else {
            assert_eq!(role("operator").await?.0, StatusCode::NO_CONTENT);
        }
        assert_eq!(all.get("/api/admin/users").await?.0, StatusCode::UNAUTHORIZED, "{name}");
        let (status, _) = by_key.get("/api/admin/queue/stats").await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: made by a key of theirs");
        assert_eq!(booker.get("/api/cart").await?.0, StatusCode::OK, "{name}: it has no such power");
        assert_eq!(others.get("/api/admin/users").await?.0, StatusCode::OK, "{name}: another admin's");
    }
    Ok(())
}
