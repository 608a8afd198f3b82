-- What only a person can decide has words of its own among the differences, so that no other difference of the same
-- payment takes its place.
alter table payment_differences
    drop constraint payment_differences_kind_known,
    add constraint payment_differences_kind_known check (kind in ('unknown_here', 'missing_there', 'status', 'amount',
        'refunds', 'kept', 'partly_charged_back', 'dispute_won', 'refunded_there'));
update payment_differences set kind = 'partly_charged_back'
where kind = 'status' and theirs like 'charged\_back % of %';
