insert into sent_fact (fact, content, revision)
values (:fact, :content, :revision)
on conflict (fact) do update set content = excluded.content, revision = excluded.revision;
