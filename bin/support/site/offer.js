// What a site would write itself: the affiliate's offer as a banner, and the e-mail of
// the popup in the sign-up form.
window.affiliate =
    window.affiliate ||
    function () {
        (window.affiliate.q = window.affiliate.q || []).push(arguments);
    };
window.affiliate("offer", (offer) => {
    if (offer && offer.name) {
        const banner = document.getElementById("offer");
        if (banner) {
            banner.textContent = offer.offer
                ? `${offer.name} gives you ${offer.offer}.`
                : `${offer.name} recommends us.`;
            banner.hidden = false;
        }
    }
});
const email = new URLSearchParams(location.search).get("email");
const field = document.getElementById("email");
if (field && email) {
    field.value = email;
}
