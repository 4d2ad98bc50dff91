INSERT INTO public.picked VALUES (1, 'it''s; here'), ('no', NULL),
  (E'a\'b', -1.5e3);
INSERT INTO gone (a, "b c") VALUES (1, '--');
INSERT INTO other SELECT 1;
