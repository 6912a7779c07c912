"""Asks pywa, a WhatsApp library for Python, how it reads recorded webhooks, and compares with how chatbridge does.

It reads a JSON list of {"name", "body", "ours"} and ends with 1 if the two readings differ, saying on what. What pywa
itself cannot read (it says so in its log) is counted and left aside.
"""

import json
import logging
import sys

from pywa import WhatsApp, handlers, types

logging.getLogger("pywa").addHandler(logging.NullHandler())
logging.getLogger("pywa").propagate = False

HANDLERS = [
    handlers.MessageHandler,
    handlers.CallbackButtonHandler,
    handlers.CallbackSelectionHandler,
    handlers.MessageStatusHandler,
    handlers.PhoneNumberChangeHandler,
]


def reading(body):
    """What pywa makes of a webhook: its object, or none."""
    found = []
    client = WhatsApp(
        token="none", filter_updates=False, validate_updates=False, skip_duplicate_updates=False
    )
    client.add_handlers(*[handler(lambda _, update: found.append(update)) for handler in HANDLERS])
    client.webhook_update_handler(body.encode())
    return found[0] if found else None


def names(user):
    """All names of a person."""
    return {name for name in (user.wa_id, user.bsuid, user.parent_bsuid) if name}


def written(message):
    """The words of a message by pywa, where it has some of its own."""
    if isinstance(message, (types.CallbackButton, types.CallbackSelection)):
        return message.title
    return message.text or message.caption


def values(message):
    """What must stand in our words of a message that has none of its own."""
    if message.location:
        place = message.location
        return [str(place.latitude), str(place.longitude), place.name, place.address]
    if message.contacts:
        found = []
        for contact in message.contacts:
            found.append(contact.name.formatted_name)
            found += [phone.phone for phone in contact.phones]
        return found
    if message.order:
        return [product.sku for product in message.order.products]
    return []


def unframed(words):
    """Our words without the lines in brackets above them, which tell what surrounds a message."""
    while words.startswith("[") and "\n" in words:
        words = words.split("\n", 1)[1]
    return words


def compare_message(its, ours):
    """Sender, number, kind and text of a message."""
    wrong = []
    if names(its.from_user) != set(ours["names"]):
        wrong.append(f"sender: it reads {sorted(names(its.from_user))}, we {sorted(ours['names'])}")
    if its.metadata.phone_number_id != ours["account"]:
        wrong.append(f"number: it reads {its.metadata.phone_number_id}, we {ours['account']}")
    text = written(its)
    kind = its.type.value
    if ours["asked"]:
        if text is not None and text.strip() not in (ours["text"], unframed(ours["text"])):
            wrong.append(f"text: it reads {text!r}, we {ours['text']!r}")
        if text is None:
            missing = [value for value in values(its) if value and value not in ours["text"]]
            if missing or not ours["text"]:
                wrong.append(f"kind {kind}: our words {ours['text']!r} lack {missing}")
    else:
        if text:
            wrong.append(f"text: it reads {text!r}, we leave it for {ours['reason']}")
        if ours["reason"] != kind:
            wrong.append(f"kind: it reads {kind}, we {ours['reason']}")
    return wrong


def compare_status(its, ours):
    """Which message, and how it fares."""
    wrong = []
    if its.status.value != ours["fate"]:
        wrong.append(f"status: it reads {its.status.value}, we {ours['fate']}")
    if its.error and str(its.error.code) != ours["code"]:
        wrong.append(f"error: it reads {its.error.code}, we {ours['code']}")
    return wrong


def compare_change(its, ours):
    """The names before and after."""
    wrong = []
    if its.old_wa_id not in ours["old"]:
        wrong.append(f"old number: it reads {its.old_wa_id}, we {ours['old']}")
    for name in (its.new_wa_id, its.new_user_id):
        if name and name not in ours["new"]:
            wrong.append(f"new name: it reads {name}, we {ours['new']}")
    return wrong


def compare(its, ours):
    """pywa reads the first item of a webhook; ours is the one of the same id."""
    if isinstance(its, types.PhoneNumberChange):
        what, check = "change", compare_change
    elif isinstance(its, types.MessageStatus):
        what, check = "status", compare_status
    else:
        what, check = "message", compare_message
    same = [item for item in ours if item["what"] == what and item["id"] in (None, its.id)]
    if not same:
        return [f"it reads a {what} {type(its).__name__}, we {[item['what'] for item in ours]}"]
    return check(its, same[0])


def main():
    fixtures = json.load(sys.stdin)
    wrong, read, unread = [], 0, []
    for fixture in fixtures:
        its = reading(fixture["body"])
        if its is None:
            unread.append(fixture["name"])
            continue
        read += 1
        wrong += [f"{fixture['name']}: {difference}" for difference in compare(its, fixture["ours"])]
    print("\n".join(wrong))
    print(f"pywa read {read} of {len(fixtures)}; not: {', '.join(unread) or 'none'}")
    # A second opinion that reads nothing is none.
    sys.exit(1 if wrong or not read else 0)


if __name__ == "__main__":
    main()
