-- A copy of a database must never call Stripe nor accept its webhooks.
UPDATE affiliate_stripe_account
   SET api_key_secret = NULL, api_key_hint = NULL, state = 'draft', sync_cursor = NULL,
       webhook_problem = NULL, webhook_token = md5(random()::text || id::text);
DELETE FROM affiliate_stripe_endpoint;
