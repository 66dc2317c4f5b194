from chat.web.suggestions import FIRST, suggestions
from tests.chat_script import plain_picture
from tests.web_page import scripted_sessions


def test_questions_follow_what_happened():
    session = scripted_sessions().new()
    assert suggestions(session.state) == []
    session.add_picture(plain_picture(size=(160, 120)))
    assert suggestions(session.state) == list(FIRST)
    session.ask(FIRST[0])
    ideas = suggestions(session.state)
    assert "How large is #2?" in ideas and FIRST[0] not in ideas
    session.point(points=[(5, 5)])
    assert suggestions(session.state)[0] == "What is #3?"
