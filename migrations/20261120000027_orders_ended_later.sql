-- An order that could not be ended, as the provider did not say what became of its payment, is looked at again at this time:
-- after a rest that grows with the times it was tried.
alter table orders add column expiry_tries integer not null default 0, add column next_expiry_at timestamptz;
