-- A copy of a database must never call Stripe nor accept its webhooks.
UPDATE affiliate_stripe_account
   SET api_key_secret = NULL, api_key_hint = NULL, state = 'draft',
       webhook_problem = NULL, public_url = NULL, home_uuid = NULL, home_database = NULL,
       home_urls = NULL, rival_seen = NULL, is_taking_over = NULL,
       webhook_token = md5(random()::text || id::text);
DELETE FROM affiliate_stripe_endpoint;
DELETE FROM affiliate_stripe_mark;
UPDATE affiliate_stripe_run SET state = 'cancelled' WHERE state IN ('running', 'paused');
