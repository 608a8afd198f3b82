-- The facts of a batch are some ten kilobytes, written and read once: lz4 packs them with a tenth of the work, where this
-- PostgreSQL was built with it.
do $$
begin
    alter table outbox alter column facts set compression lz4;
exception
    when feature_not_supported then null;
end
$$;
