"""An admin in a real browser: people, websites with the widget, the audit log; each page in both themes."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from feedback.database import reading
from feedback.sites import every
from feedback.tables import Role
from tests.browser.conftest import hire
from tests.console.conftest import PASSWORD
from tests.console.trained import shop_of
from tests.service.conftest import Shop

Accessible = Callable[[Page], None]
Picture = Callable[[Page, str], None]


def sign_in(page: Page, shop: Shop) -> None:
    hire(shop.database, "ada", Role.ADMIN, None)
    page.goto(f"{shop.url}/console")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("table").get_by_role("link", name="shop").click()
    page.wait_for_url("**/console/shop/overview")


def in_both_themes(page: Page, accessible: Accessible) -> None:
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        accessible(page)


def test_a_colleague_is_invited_chooses_a_password_and_is_shut_out(
    page: Page, chromium: Browser, shop: Shop, accessible: Accessible, picture: Picture
) -> None:
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/people")
    page.get_by_label("Name", exact=True).fill("Nils Berg")
    page.get_by_label("E-mail").fill("nils@example.com")
    page.get_by_label("For", exact=True).select_option("shop")
    page.get_by_role("button", name="Make an invitation link").click()
    link = page.locator("#link").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text(re.compile("Copied|Selected"))).to_be_visible()
    in_both_themes(page, accessible)
    picture(page, "people")

    own = chromium.new_context()  # Nils sits at another machine
    theirs = own.new_page()
    theirs.goto(link)
    in_both_themes(theirs, accessible)
    picture(theirs, "choose-password")
    theirs.get_by_label("New password").fill("four words in row")
    theirs.get_by_label("The same again").fill("four words in a row")
    theirs.get_by_role("button", name="Set the password and sign in").click()
    expect(theirs.get_by_role("alert")).to_be_visible()
    theirs.get_by_label("New password").fill("four words in a row")
    theirs.get_by_label("The same again").fill("four words in a row")
    theirs.get_by_role("button", name="Set the password and sign in").click()
    theirs.wait_for_url("**/console/shop/inbox")
    expect(theirs.get_by_role("link", name="Overview")).to_have_count(0)

    page.get_by_label("Role of Nils Berg for shop").select_option("operator")
    page.get_by_role("row", name="Nils Berg").get_by_role("button", name="Set role").click()
    expect(page.get_by_role("row", name="Nils Berg")).to_contain_text("operator")
    theirs.reload()
    expect(theirs.get_by_role("link", name="Overview")).to_be_visible()

    page.get_by_role("row", name="Nils Berg").get_by_role("button", name="Shut out").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nils Berg is signed out everywhere at once")
    in_both_themes(page, accessible)
    dialog.get_by_role("button", name="Shut out").click()
    expect(page.get_by_role("row", name="Nils Berg")).to_contain_text("shut out")
    theirs.reload()
    expect(theirs.get_by_role("heading", name="Sign in")).to_be_visible()
    theirs.goto(link)
    expect(theirs.get_by_role("alert")).to_be_visible()  # a link works once
    in_both_themes(theirs, accessible)
    own.close()


def test_a_website_gets_the_widget_and_loses_it_again(
    page: Page, shop: Shop, accessible: Accessible, picture: Picture
) -> None:
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/sites")
    in_both_themes(page, accessible)
    page.get_by_label("Name", exact=True).fill("Web shop")
    page.get_by_label("Origins").fill("shop.example")
    page.get_by_role("button", name="Make the site").click()
    expect(page.get_by_role("alert")).to_contain_text("https://shop.example")
    page.get_by_label("Name", exact=True).fill("Web shop")
    page.get_by_label("Origins").fill("https://shop.example\nhttps://help.shop.example")
    page.get_by_label("Greeting").fill("Hello! What may we help with?")
    page.get_by_role("button", name="Make the site").click()
    expect(page.get_by_role("heading", name="Web shop")).to_be_visible()
    with reading(shop.database) as session:
        [site] = every(session, shop_of(session))
    expect(page.get_by_text("Put this line into its pages")).to_be_visible()
    assert f'data-site="{site.public_key}"' in page.locator("#line1").inner_text()
    assert site.look["greeting"] == "Hello! What may we help with?"
    picture(page, "sites")
    page.get_by_text("Prove who a visitor is").click()
    page.get_by_text("Change origins and looks").click()
    in_both_themes(page, accessible)
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke the key").click()
    expect(page.get_by_text(re.compile("revoked"))).to_be_visible()


def test_the_audit_log_is_read_filtered_and_exported(
    page: Page, shop: Shop, accessible: Accessible, picture: Picture
) -> None:
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/people")
    for name in ("Nils", "Bea"):
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("E-mail").fill(f"{name.lower()}@example.com")
        page.get_by_role("button", name="Make an invitation link").click()
        expect(page.locator("#link")).to_be_visible()
    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("cell", name="staff.invite")).to_have_count(2)
    in_both_themes(page, accessible)
    picture(page, "audit")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert "bea@example.com" in Path(download.value.path()).read_text()
    page.get_by_label("Who").fill("nobody@example.com")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Nothing here.")).to_be_visible()
    accessible(page)


def test_the_pages_fit_a_narrow_screen(page: Page, shop: Shop) -> None:
    sign_in(page, shop)
    page.set_viewport_size({"width": 420, "height": 860})
    for path in ("people", "sites", "audit"):
        page.goto(f"{shop.url}/console/shop/{path}")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{path} is {over} pixels too wide"
