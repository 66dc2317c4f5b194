import re

from chat.report import write_report
from tests.chat_script import plain_picture
from tests.web_page import scripted_sessions


def test_report_shows_pictures_masks_and_the_conversation():
    session = scripted_sessions().new()
    session.add_picture(plain_picture(size=(160, 120)), "table.png")
    session.ask("What stands here?")
    session.ask("How do they relate?")
    session.ask("Is there a zebra?")
    page = write_report(session.state)
    assert "1 picture, 3 questions, 2 segments" in page
    assert page.count("<image ") == 3
    assert "#s2:not(:checked)) #m2" in page
    assert "#1 cup left of #2 fork" in page
    assert "not in the picture" in page


def test_report_needs_no_network():
    session = scripted_sessions().new()
    session.add_picture(plain_picture())
    page = write_report(session.state)
    assert "default-src 'none'" in page
    assert not re.search(r"(?:href|src)=\"(?!data:image/)", page)
    assert "Nothing was asked." in page
