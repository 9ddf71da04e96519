# For `nbgrader` in this folder: see the page "Coursework" of the book.
c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "rich-and-lazy"
c.Execute.timeout = 300  # seconds for one cell of a student
c.Execute.interrupt_on_timeout = True  # an endless loop costs its own points only
