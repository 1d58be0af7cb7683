import {
    MockServer,
    contains,
    defineModels,
    fields,
    models,
    mountView,
    onRpc,
    toggleActionMenu,
} from "@web/../tests/web_test_helpers";
import {describe, expect, test} from "@odoo/hoot";
import {animationFrame} from "@odoo/hoot-dom";
import {advanceTime} from "@odoo/hoot-mock";
import {defineMailModels} from "@mail/../tests/mail_test_helpers";

import {REFRESH_EVERY} from "@affiliate_stripe/views/refresh_while";

const LONG = `cs_test_${"a1B2".repeat(14)}`;

class Reading extends models.Model {
    _name = "reading";

    state = fields.Selection({
        selection: [
            ["running", "Running"],
            ["lead", "Lead"],
            ["customer", "Customer"],
            ["done", "Done"],
        ],
    });
    busy = fields.Boolean();
    name = fields.Char();
    ref = fields.Char();

    _records = [
        {id: 1, state: "running", busy: false, name: "First", ref: LONG},
        {id: 2, state: "customer", busy: false, name: "Second", ref: "cus_short"},
        {id: 3, state: "lead", busy: false, name: "Third", ref: false},
    ];
}

defineMailModels();
defineModels([Reading]);
describe.current.tags("desktop");

const FORM = `
    <form>
        <widget name="affiliate_refresh_while" field="state" value="running"/>
        <field name="state"/><field name="name"/><field name="busy" invisible="1"/>
    </form>`;

async function wait(times) {
    for (let turn = 0; turn < times; turn++) {
        await advanceTime(REFRESH_EVERY);
        await animationFrame();
    }
}

/** A form that counts how often its record is read. */
async function mountReading(resId, arch = FORM) {
    let reads = 0;
    onRpc("reading", "web_read", () => {
        reads++;
    });
    await mountView({type: "form", resModel: "reading", resId, arch});
    return () => reads - 1;
}

test("a form reads itself while its reading runs, and stops with it", async () => {
    const refreshed = await mountReading(1);
    await wait(2);
    expect(refreshed()).toBe(2);
    MockServer.env["reading"].write([1], {state: "done"});
    await wait(3);
    expect(refreshed()).toBe(3);
});

test("nothing is read while nothing runs", async () => {
    const refreshed = await mountReading(2);
    await wait(5);
    expect(refreshed()).toBe(0);
});

test("what somebody is typing is left alone", async () => {
    const refreshed = await mountReading(1);
    await contains(".o_field_widget[name=name] input").edit("Typed", {confirm: false});
    await wait(3);
    expect(refreshed()).toBe(0);
    expect(".o_field_widget[name=name] input").toHaveValue("Typed");
});

async function openMenu(resId) {
    await mountView({
        type: "form",
        resModel: "reading",
        resId,
        arch: `<form js_class="affiliate_referral_form"><field name="state"/></form>`,
        actionMenus: {},
    });
    await toggleActionMenu();
}

test("deleting whoever has paid is not offered", async () => {
    await openMenu(2);
    expect(".o-dropdown--menu .fa-clone").toHaveCount(1);
    expect(".o-dropdown--menu .fa-trash-o").toHaveCount(0);
});

test("deleting a lead is offered", async () => {
    await openMenu(3);
    expect(".o-dropdown--menu .fa-trash-o").toHaveCount(1);
});

test("an id is short, with the whole on hover", async () => {
    await mountView({
        type: "form",
        resModel: "reading",
        resId: 1,
        arch: `<form><field name="ref" widget="affiliate_stripe_id"/></form>`,
    });
    expect(".o_field_affiliate_stripe_id span[title]").toHaveText("cs_test_a1…B2a1B2");
    expect(".o_field_affiliate_stripe_id span[title]").toHaveAttribute("title", LONG);
});
