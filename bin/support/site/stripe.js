// Stands in for Stripe's script: its elements, leading to the Stripe double. As the real
// ones do, they read client-reference-id when somebody wants to pay.
function pay(element, address) {
    const url = new URL(address);
    const reference = element.getAttribute("client-reference-id");
    const email = element.getAttribute("customer-email");
    if (reference) {
        url.searchParams.set("client_reference_id", reference);
    }
    if (email) {
        url.searchParams.set("prefilled_email", email);
    }
    location.href = url.href;
}

function button(element, address, text) {
    const found = document.createElement("button");
    found.className = "button";
    found.textContent = text;
    found.addEventListener("click", () => pay(element, address));
    return found;
}

customElements.define(
    "stripe-buy-button",
    class extends HTMLElement {
        connectedCallback() {
            const address = this.getAttribute("buy-button-id");
            this.replaceChildren(button(this, address, "By Buy Button"));
        }
    }
);

customElements.define(
    "stripe-pricing-table",
    class extends HTMLElement {
        connectedCallback() {
            const [starter, pro] = this.getAttribute("pricing-table-id").split(" ");
            this.replaceChildren(
                button(this, starter, "Starter, $25 a month"),
                button(this, pro, "Pro, $100 a month")
            );
        }
    }
);
