"""Payment Links: opening one makes a Checkout Session with the link's settings."""

from ..contract import nulls, resource_class
from ..errors import ApiError
from ..render import includes
from ..routing import listing, paginate_items, retrieval, route
from ..shapes import list_object
from . import checkout, common

IGNORED = (
    "after_completion automatic_tax billing_address_collection consent_collection"
    " custom_fields custom_text inactive_message name_collection optional_items"
    " payment_method_collection payment_method_options payment_method_types"
    " phone_number_collection restrictions submit_type tax_id_collection currency"
).split()


@route("POST", "/v1/payment_links", "payment_links")
def create_link(call):
    params, world = call.params, call.world
    params.ignore(*IGNORED)
    items = checkout.read_items(world, params["line_items"])
    mode = "subscription" if any(p["recurring"] for p, _q, _r in items) else "payment"
    cls = resource_class("payment_link")
    key = world.new_id("payment_link")
    link = world.build(
        "payment_link",
        id=key,
        active=True,
        after_completion=nulls(cls.AfterCompletion, type="hosted_confirmation"),
        allow_promotion_codes=params.get("allow_promotion_codes", False),
        automatic_tax={"enabled": False, "liability": None},
        billing_address_collection="auto",
        currency=items[0][0]["currency"],
        custom_fields=[],
        custom_text=nulls(cls.CustomText),
        customer_creation=params.get("customer_creation", "if_required"),
        invoice_creation=None,
        metadata=common.metadata(params.get("metadata")),
        payment_method_collection="always",
        phone_number_collection={"enabled": False},
        shipping_options=[],
        submit_type="auto",
        tax_id_collection={"enabled": False, "required": "never"},
        url=f"{world.double.url}/buy/{key}",
    )
    data = params.get(
        "subscription_data" if mode == "subscription" else ("payment_intent_data")
    )
    creation = params.get("invoice_creation")
    lines = [checkout.new_line(world, *item) for item in items]
    return world.add(
        link,
        "payment_link.created",
        mode=mode,
        items=items,
        lines=lines,
        data=data or {},
        invoice_creation=creation,
    )


retrieval("payment_link", "/v1/payment_links/{payment_link}", "payment_links")
listing("payment_link", "/v1/payment_links", "payment_links", {"active": "active"})


@route("POST", "/v1/payment_links/{payment_link}", "payment_links")
def update_link(call, payment_link):
    link = call.world.find("payment_link", payment_link)
    with call.world.change(link, "payment_link.updated"):
        common.copy(link, call.params, "active", "allow_promotion_codes")
        common.merge_metadata(link, call.params)
    return link


@route("GET", "/v1/payment_links/{payment_link}/line_items", "payment_links")
def link_line_items(call, payment_link):
    call.world.find("payment_link", payment_link)
    return paginate_items(call, "item", call.world.side[payment_link]["lines"])


@includes("payment_link", "line_items")
def line_items(world, link):
    lines = world.side[link["id"]]["lines"]
    return list_object(lines, f"/v1/payment_links/{link['id']}/line_items")


def open_link(world, link, client_reference_id=None, promotion_code=None, email=None):
    """A visitor follows the link. A reference with characters other than letters,
    digits, dashes and underscores is dropped silently, as Stripe does."""
    if not link["active"]:
        raise ApiError("This payment link is no longer active.")
    side = world.side[link["id"]]
    reference = client_reference_id or ""
    session = checkout.new_session(
        world,
        side["mode"],
        side["items"],
        allow_promotion_codes=link["allow_promotion_codes"],
        client_reference_id=reference if checkout.REFERENCE.match(reference) else None,
        customer_creation=(
            link["customer_creation"] if side["mode"] == "payment" else None
        ),
        customer_email=email,
        invoice_creation=checkout.invoice_creation(side["invoice_creation"]),
        metadata=dict(link["metadata"]),
        payment_link=link["id"],
        data=dict(side["data"]),
    )
    if promotion_code and link["allow_promotion_codes"]:
        with world.change(session):
            checkout.apply_code(world, session, promotion_code)
    return session
