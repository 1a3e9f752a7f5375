-- Grain: one fact that an import sent. `content` is a digest of its latest content, `revision` how often it changed.
create table if not exists sent_fact (
    fact blob primary key,
    content blob not null,
    revision integer not null
) without rowid;
